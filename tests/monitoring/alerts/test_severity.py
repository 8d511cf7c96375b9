"""The table of severities, on both sides of each of its lines."""

import pytest

from contracts.environments import Environment
from monitoring.alerts.severity import SCALES, rank, severity_of
from records.tables.monitoring_alerts import AlertKind, Severity

INFO, WARNING, CRITICAL = Severity
PRODUCTION = Environment.PRODUCTION


@pytest.mark.parametrize(
    ("size", "rows", "severity"),
    [
        (0.08, 300, INFO),
        (0.1999, 5000, INFO),
        (0.16, 6250, WARNING),
        (0.2, 1, WARNING),
        (0.4999, 1_000_000, WARNING),
        (0.5, 1999, WARNING),
        (0.5, 2000, CRITICAL),
        (1.0, 999, WARNING),
        (1.0, 1000, CRITICAL),
    ],
)
def test_a_drift_is_as_grave_as_it_is_large_and_as_many_ask(
    size: float, rows: int, severity: Severity
) -> None:
    """Lines at a fifth and a half of the predictions, and at a thousand that are affected."""
    assert severity_of(AlertKind.DATA_DRIFT, PRODUCTION, size=size, rows=rows) is severity


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_three_severities_that_rise_with_size_and_traffic(kind: AlertKind) -> None:
    """Just below each line of its scale, and at it."""
    notable, large, many = SCALES[kind]
    few, enough = int(many / large) - 1, int(many / large) + 1
    assert severity_of(kind, PRODUCTION, size=notable * 0.99, rows=1) is INFO
    assert severity_of(kind, PRODUCTION, size=notable * 0.99, rows=100 * many) is WARNING
    assert severity_of(kind, PRODUCTION, size=notable, rows=1) is WARNING
    assert severity_of(kind, PRODUCTION, size=large * 0.99, rows=100 * many) is WARNING
    assert severity_of(kind, PRODUCTION, size=large, rows=few) is WARNING
    assert severity_of(kind, PRODUCTION, size=large, rows=enough) is CRITICAL


@pytest.mark.parametrize(("environment", "estimate"), [(Environment.STAGING, False), (PRODUCTION, True)])
def test_staging_and_estimates_are_a_warning_at_most(environment: Environment, *, estimate: bool) -> None:
    """What is mild stays mild."""
    found = [
        severity_of(AlertKind.CONCEPT_DRIFT, environment, size=size, rows=rows, estimate=estimate)
        for size, rows in ((0.05, 10), (0.1, 10), (0.9, 100_000))
    ]
    assert found == [INFO, WARNING, WARNING]


def test_severities_have_an_order() -> None:
    """As the words of a row, too."""
    assert sorted(["critical", "info", "warning"], key=rank) == ["info", "warning", "critical"]
