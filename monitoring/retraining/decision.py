"""Whether an event starts a training run: a pure decision, with its why in a sentence.

The brakes are looked at in this order, and the first that holds is the reason: the event is not one that
training can mend, the loop is off, the event is mild, a run is under way, the last one was too short ago, or
there were too many today.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.text import plain, trouble
from monitoring.drift.result import Document
from monitoring.durations import duration
from monitoring.settings import MonitoringSettings
from records.tables.monitoring_alerts import AlertKind, Severity

DAY: Final = timedelta(days=1)

_MENDED: Final = (AlertKind.DATA_DRIFT, AlertKind.CONCEPT_DRIFT, AlertKind.PERFORMANCE_DEGRADATION)
"""Kinds that a model trained on newer data may mend."""
_NEWS: Final = (Change.OPENED, Change.WORSENED)
_ORDER: Final = tuple(Severity)


class Outcome(StrEnum):
    """What an event led to; all but `ignored` are counted (contracts.metrics.RETRAINING)."""

    STARTED = "started"
    OFF = "off"
    MILD = "mild"
    RUNNING = "running"
    COOLDOWN = "cooldown"
    CAPPED = "capped"
    FAILED = "failed"
    """A run was started, and failed: its command, or a step of it."""
    IGNORED = "ignored"
    """It is no event that training can mend."""


class Decision(Document):
    """What is done about an event, and why."""

    outcome: Outcome
    reason: str
    run: UUID | None = None
    """The row of `experiment_runs` that was written for the run, if one is started."""


class Brakes(NamedTuple):
    """What was started before for the same model."""

    running: str = ""
    """Which run is under way, in words; empty if none is."""
    latest: datetime | None = None
    """When the loop last started one."""
    today: int = 0
    """How many it started in the last 24 hours."""


def concerns(event: AlertEvent) -> Decision | None:
    """Returns why `event` starts nothing whatever was started before and is set, or None."""
    if event.change not in _NEWS:
        return Decision(outcome=Outcome.IGNORED, reason=f"The alert was {event.change}: nothing is worse.")
    if event.kind not in _MENDED:
        reason = f"Training does not mend {event.kind.replace('_', ' ')}."
        return Decision(outcome=Outcome.IGNORED, reason=reason)
    return None


def decide(event: AlertEvent, brakes: Brakes, settings: MonitoringSettings, now: datetime) -> Decision:
    """Returns the decision about `event`; `run` is not known yet."""
    held = concerns(event) or next(_held(event, brakes, settings, now), None)
    return held or Decision(outcome=Outcome.STARTED, reason=why(event))


def _held(
    event: AlertEvent, brakes: Brakes, settings: MonitoringSettings, now: datetime
) -> Iterator[Decision]:
    """Yields each brake that holds."""
    if settings.retraining == "off":
        yield Decision(outcome=Outcome.OFF, reason="MONITORING_RETRAINING is off.")
    least = Severity(settings.retraining_severity)
    if _ORDER.index(event.severity) < _ORDER.index(least):
        reason = f"The alert is of severity {event.severity}; from {least} on a run is started."
        yield Decision(outcome=Outcome.MILD, reason=reason)
    if brakes.running:
        yield Decision(outcome=Outcome.RUNNING, reason=f"{brakes.running} One at a time.")
    if brakes.latest is not None:
        free = brakes.latest + duration(settings.retraining_cooldown)
        if now < free:
            reason = (
                f"The last run was started at {_time(brakes.latest)}; the next may be from {_time(free)} on."
            )
            yield Decision(outcome=Outcome.COOLDOWN, reason=reason)
    most = settings.retraining_per_day
    if brakes.today >= most:
        reason = f"{brakes.today} runs were started in the last 24 hours, and at most {most} may be."
        yield Decision(outcome=Outcome.CAPPED, reason=reason)


def why(event: AlertEvent) -> str:
    """Returns the reason of a run that `event` starts, as it stands in `experiment_runs.trigger_reason`."""
    alert = f", alert {event.alert_id}" if event.alert_id else ""
    what = trouble(event.kind, event.family)
    said = f"{event.severity} {what} in {event.environment} {event.change}{alert}: {event.summary}"
    return plain(said, REASON)


REASON: Final = 1000
"""Longest reason of a run; an argument of a command should stay short."""


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
