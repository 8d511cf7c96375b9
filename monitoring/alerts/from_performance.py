"""From live figures to alerts: what labels show, or without them an estimate, marked as one.

A concept drift says more than a fall of performance and is told instead of it: it is one cause. The alert of
the performance, if one is open, is still counted. Where labels are enough the estimate says nothing; where
they are not, what they said before is neither seen nor quiet. The same labels again are no new sighting. An
estimate has an alert of its own, since it cannot see that a concept drift is over.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from kit.home import Home
from monitoring.alerts import book
from monitoring.alerts.book import Entry, Sighting
from monitoring.alerts.event import Evidence, Moved
from monitoring.alerts.severity import severity_of
from monitoring.drift.words import percent
from monitoring.performance.live import CONCEPT, PERFORMANCE
from monitoring.performance.result import LivePerformance
from monitoring.settings import MonitoringSettings
from records.repositories import alerts
from records.repositories.alerts import Cause
from records.tables.monitoring_alerts import AlertKind

LABELS: Final = "labels"
"""The family of what labels show."""
ESTIMATE: Final = "estimate"
"""The family of what calibrated scores promise."""

_CONCEPT: Final = (
    "Within a true class the answers are worse, so that it is not the mix of classes: what makes a row what "
    "it is has changed."
)
_MIX: Final = (
    "Within each true class nothing is worse beyond chance: the mix of classes may have changed, or there "
    "are too few labels to tell."
)
_TOP = 3


class Told(NamedTuple):
    """Live or estimated figures, their effect on verdicts in words, and request ids to look at."""

    figures: LivePerformance
    effect: str
    examples: tuple[str, ...] = ()


async def write(
    session: AsyncSession, settings: MonitoringSettings, home: Home, found: Sequence[Told]
) -> list[Entry]:
    """Writes into the book what a run `found` of one version, and returns the alerts that it is about.

    Call it in the transaction of the series.
    """
    labels = next((told for told in found if not told.figures.estimate), None)
    estimate = next((told for told in found if told.figures.estimate), None)
    seen: dict[Cause, Told | None] = {}
    if labels is not None:
        figures = labels.figures
        worse = _cause(figures, AlertKind.PERFORMANCE_DEGRADATION, LABELS)
        seen[_cause(figures, AlertKind.CONCEPT_DRIFT, LABELS)] = labels if figures.concept_drift else None
        if not (figures.degraded and figures.concept_drift) or await _is_open(session, worse):
            seen[worse] = labels if figures.degraded else None
        seen[_cause(figures, AlertKind.PERFORMANCE_DEGRADATION, ESTIMATE)] = None
    elif estimate is not None:
        figures = estimate.figures
        cause = _cause(figures, AlertKind.PERFORMANCE_DEGRADATION, ESTIMATE)
        seen[cause] = estimate if figures.degraded else None
    entries: list[Entry | None] = []
    for cause, told in seen.items():
        if told is not None:
            if not told.figures.estimate and not await _is_new(session, cause, told.figures):
                continue
            sighting = _sighting(cause.kind, told)
            entries.append(await book.sighted(session, settings, home, cause, sighting))
        else:
            entries.append(await book.quiet(session, settings, home, cause, found[0].figures.measured_at))
    return [entry for entry in entries if entry is not None]


def _cause(figures: LivePerformance, kind: AlertKind, family: str) -> Cause:
    return Cause(figures.model, figures.environment, kind, family)


async def _is_open(session: AsyncSession, cause: Cause) -> bool:
    alert = await alerts.latest(session, cause)
    return alert is not None and alert.is_open


async def _is_new(session: AsyncSession, cause: Cause, found: LivePerformance) -> bool:
    """Tells whether labels came since the cause was last seen: the same ones again are no further sighting.

    Otherwise an alert that a person has resolved would come back for as long as its labels are in the window.
    """
    alert = await alerts.latest(session, cause)
    return (
        alert is None
        or alert.model_version != found.version
        or Evidence.model_validate(alert.details).rows != found.rows
    )


def _sighting(kind: AlertKind, told: Told) -> Sighting:
    found = told.figures
    concerned = CONCEPT if kind is AlertKind.CONCEPT_DRIFT else PERFORMANCE
    worse = sorted(
        (figure for figure in found.figures if figure.worse and figure.name in concerned),
        key=lambda figure: figure.value - figure.certificate,
    )
    size = worse[0].certificate - worse[0].value
    return Sighting(
        severity=severity_of(kind, found.environment, size=size, rows=found.of_rows, estimate=found.estimate),
        summary=found.sentence,
        evidence=Evidence(
            rows=found.rows,
            size=size,
            moved=tuple(
                Moved(
                    name=figure.name,
                    reference=f"{percent(figure.certificate)} (certificate)",
                    current=f"{percent(figure.value)} ({percent(figure.low)} to {percent(figure.high)})",
                )
                for figure in worse[:_TOP]
            ),
            examples=told.examples,
            effect=told.effect,
            cause=_why(kind, found),
        ),
        seen_at=found.measured_at,
        model_version=found.version,
    )


def _why(kind: AlertKind, found: LivePerformance) -> str:
    if found.estimate:
        return " ".join(found.notes)
    if kind is AlertKind.CONCEPT_DRIFT or found.concept_drift:
        return _CONCEPT
    return _MIX
