"""An event: one change of state of one alert, as it is queued, rendered, signed and received."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.environments import Environment
from monitoring.drift.result import Document
from records.tables.monitoring_alerts import AlertKind, Severity


class Change(StrEnum):
    """What happened to the alert; in an outbox key it is followed by what makes it one of its kind."""

    OPENED = "opened"
    WORSENED = "worsened"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    TEST = "test"


class Moved(Document):
    """One feature that moved, in words."""

    name: str
    reference: str
    current: str


class Evidence(Document):
    """What a run saw of a cause: the `details` of a `monitoring_alerts` row."""

    since: datetime | None = None
    """When it began, as far as is known."""
    rows: int = Field(default=0, ge=0)
    """How many requests it was seen in."""
    size: float = Field(default=0, ge=0)
    """How large: the share of predictions that moved, the fall of a figure, the share that failed."""
    moved: tuple[Moved, ...] = ()
    """The top three features."""
    examples: tuple[str, ...] = ()
    """Up to three request ids."""
    effect: str = ""
    """The estimated effect on verdicts, in a sentence."""
    cause: str = ""
    """Why, where the rows themselves tell, in a sentence."""
    report: str = ""
    """The page of the run: a path below SLUICE_HOME; empty if there is none."""


class Command(Document):
    """A command to paste, and what it is for."""

    purpose: Literal["look", "acknowledge", "mute", "roll back", "retrain", "resolve"]
    command: str


class AlertEvent(Document):
    """What a person or a program is told; the body of a signed webhook."""

    type: Literal["sluice.alert"] = "sluice.alert"
    change: Change
    at: datetime
    alert_id: UUID | None
    """None in a test message."""
    key: str
    """The stable key of the cause: model, environment, kind and family."""
    model: str
    environment: Environment
    version: str | None
    kind: AlertKind
    family: str
    severity: Severity
    summary: str
    """What moved and by how much, in a sentence."""
    opened_at: datetime
    occurrences: int = Field(ge=1)
    evidence: Evidence
    actor: str = ""
    """Who acknowledged or resolved it."""
    reason: str = ""
    """And why."""
    console: str = ""
    """The alert's page in the console; empty where no address is known."""
    report: str = ""
    """A link to, or the path of, the drift report."""
    runbook: str
    commands: tuple[Command, ...] = ()
