"""How soon a person should look: from how large the cause is and how many requests it is about.

| size | fewer than `many` requests affected | `many` or more |
| --- | --- | --- |
| below `notable` | info | warning |
| `notable` or more | warning | warning |
| `large` or more | warning | critical |

Affected are size times rows. Staging answers nobody, and an estimate is no finding: there it is a warning at
most.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.environments import Environment
from records.tables.monitoring_alerts import AlertKind, Severity


class Scale(NamedTuple):
    """Where the rows and columns of the table begin."""

    notable: float
    large: float
    many: int


_SHARE_MOVED: Final = Scale(0.2, 0.5, 1000)
_FALL: Final = Scale(0.1, 0.2, 100)
_SHARE_LOST: Final = Scale(0.05, 0.2, 20)

SCALES: Final[Mapping[AlertKind, Scale]] = {
    AlertKind.DATA_DRIFT: _SHARE_MOVED,
    AlertKind.STALE_FEATURES: _SHARE_MOVED,
    AlertKind.CONCEPT_DRIFT: _FALL,
    AlertKind.PERFORMANCE_DEGRADATION: _FALL,
    AlertKind.PREDICTION_LOSS: _SHARE_LOST,
    AlertKind.MODEL_ERROR: _SHARE_LOST,
}
"""By kind: the size is the share of predictions that moved or had default features, the fall of the figure
that fell most, the share of requests that failed or were not recorded."""

_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


def severity_of(
    kind: AlertKind, environment: Environment, *, size: float, rows: int, estimate: bool = False
) -> Severity:
    """Returns the severity of a cause of `size` that was seen in `rows` requests."""
    scale = SCALES[kind]
    many = size * rows >= scale.many
    if size >= scale.large:
        found = Severity.CRITICAL if many else Severity.WARNING
    elif size >= scale.notable:
        found = Severity.WARNING
    else:
        found = Severity.WARNING if many else Severity.INFO
    if estimate or environment is not Environment.PRODUCTION:
        return min(found, Severity.WARNING, key=rank)
    return found


def rank(severity: Severity | str) -> int:
    """Returns the place of a severity: 0 is the least."""
    return _RANKS[Severity(severity)]
