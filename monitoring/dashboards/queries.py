"""Queries that panels are made of: each a metric of the contract, and the labels that its lines go by."""

from typing import Final

from contracts.metrics import Metric
from monitoring.dashboards.panels import Query

INTERVAL: Final = "$__rate_interval"
"""Grafana's: four scrapes at least, more on a wide view."""
PLACE: Final = 'environment=~"$environment"'
OURS: Final = f'{PLACE}, model=~"$model"'


def rate(metric: Metric, *by: str, where: str = "", named: str = "") -> Query:
    """Returns how fast a counter grows, a second."""
    return Query(
        _grouped("sum", f"rate({_selected(metric.name, where)}[{INTERVAL}])", by), named or _legend(by)
    )


def growth(metric: Metric, *by: str, where: str = "", over: str = "1h") -> Query:
    """Returns by how much a counter grew in a time."""
    return Query(_grouped("sum", f"increase({_selected(metric.name, where)}[{over}])", by), _legend(by))


def highest(metric: Metric, *by: str, where: str = "", named: str = "") -> Query:
    """Returns a gauge; the highest, where several processes tell it."""
    return Query(_grouped("max", _selected(metric.name, where), by), named or _legend(by))


def total(metric: Metric, *by: str, where: str = "") -> Query:
    """Returns the sum of a gauge."""
    return Query(_grouped("sum", _selected(metric.name, where), by), _legend(by))


def is_one(metric: Metric, *by: str, where: str = "") -> Query:
    """Returns the rows of a table: where a gauge that tells yes or no says yes."""
    return Query(f"{_grouped('max', _selected(metric.name, where), by)} == 1")


def slowest(metric: Metric, *by: str, where: str = "", named: str = "") -> Query:
    """Returns the 99th percentile of a histogram."""
    buckets = f"rate({_selected(f'{metric.name}_bucket', where)}[{INTERVAL}])"
    return Query(f"histogram_quantile(0.99, {_grouped('sum', buckets, (*by, 'le'))})", named or _legend(by))


def since(metric: Metric, *by: str, where: str = "", named: str = "") -> Query:
    """Returns how long ago the time was that a gauge holds."""
    return Query(f"time() - {_grouped('max', _selected(metric.name, where), by)}", named or _legend(by))


def recorded(name: str, named: str, *, divided_by: float = 1) -> Query:
    """Returns a recording of monitoring/rules/prometheus/objective.yaml, of the chosen environments."""
    division = f" / {divided_by}" if divided_by != 1 else ""
    return Query(f"environment:sluice_gateway_{name}{{{PLACE}}}{division}", named)


def ratio(part: Query, whole: Query, named: str) -> Query:
    """Returns one query divided by another, where that is not zero."""
    return Query(f"{part.expression} / ({whole.expression} > 0)", named)


def _selected(name: str, where: str) -> str:
    return f"{name}{{{where}}}" if where else name


def _grouped(how: str, what: str, by: tuple[str, ...]) -> str:
    return f"{how} by ({', '.join(by)}) ({what})" if by else f"{how}({what})"


def _legend(by: tuple[str, ...]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)
