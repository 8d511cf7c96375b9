"""From the row of an alert to the event that is told: with links, and commands that can be pasted."""

import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from contracts import monitoring as paths
from contracts.environments import Environment
from kit.home import Home
from monitoring.alerts.event import AlertEvent, Change, Command, Evidence
from monitoring.alerts.text import plain, trouble
from monitoring.settings import MonitoringSettings
from records.repositories.alerts import Note
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind, Severity
from records.tables.registry import NAME_LENGTH

_OF_THE_MODEL = (AlertKind.DATA_DRIFT, AlertKind.CONCEPT_DRIFT, AlertKind.PERFORMANCE_DEGRADATION)
"""What another version of the model may mend."""


def event_of(
    alert: MonitoringAlert,
    change: Change,
    settings: MonitoringSettings,
    home: Home,
    *,
    at: datetime,
    note: Note | None = None,
) -> AlertEvent:
    """Returns the event that `alert` as it stands went through `change`; `note` says who did it and why."""
    evidence = Evidence.model_validate(alert.details)
    console = console_url(settings, home)
    return AlertEvent(
        change=change,
        at=at,
        alert_id=alert.id,
        key=alert.key,
        model=alert.model_name,
        environment=Environment(alert.environment),
        version=alert.model_version,
        kind=AlertKind(alert.kind),
        family=alert.family,
        severity=Severity(alert.severity),
        summary=alert.summary,
        opened_at=alert.opened_at,
        occurrences=alert.occurrences,
        evidence=evidence,
        actor=note.actor if note else "",
        reason=note.reason if note else "",
        console=f"{console}/alerts/{alert.id}" if console else "",
        report=_report(evidence, console, home),
        runbook=runbook_of(AlertKind(alert.kind), settings),
        commands=tuple(_commands(alert, change)),
    )


def console_url(settings: MonitoringSettings, home: Home) -> str:
    """Returns where the console's pages begin: as told, else as it runs here; empty if neither is known."""
    base = settings.public_url
    if not base:
        try:
            base = paths.address_file(home.root).read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return ""
    base = base.rstrip("/").removesuffix(paths.CONSOLE)
    return f"{base}{paths.CONSOLE}" if base else ""


def runbook_of(kind: AlertKind, settings: MonitoringSettings) -> str:
    """Returns the page or the file that says what to do about alerts of a kind."""
    return f"{settings.runbooks.rstrip('/')}/{kind}.md"


def _report(evidence: Evidence, console: str, home: Home) -> str:
    if not evidence.report:
        return ""
    if console:
        return f"{console}/{quote(evidence.report)}"
    return str(home.root / PurePosixPath(evidence.report))


def _commands(alert: MonitoringAlert, change: Change) -> Iterator[Command]:
    yield Command(purpose="look", command=f"sluice alerts show {alert.id}")
    if change is Change.RESOLVED:
        return
    if change is not Change.ACKNOWLEDGED:
        yield Command(
            purpose="acknowledge", command=f"sluice alerts ack {alert.id} --reason 'looking into it'"
        )
    yield Command(
        purpose="mute", command=f"sluice alerts mute {alert.id} --for 4h --reason 'known, being mended'"
    )
    yield from _model_commands(alert)
    yield Command(purpose="resolve", command=f"sluice alerts resolve {alert.id} --reason 'mended'")


def _model_commands(alert: MonitoringAlert) -> Iterator[Command]:
    if plain(alert.model_name, NAME_LENGTH) != alert.model_name:
        return  # a name with an end of line in it is nothing to paste into a shell
    model, why = shlex.quote(alert.model_name), shlex.quote(_why(alert))
    if alert.kind in (*_OF_THE_MODEL, AlertKind.MODEL_ERROR):
        yield Command(
            purpose="roll back",
            command=f"sluice model rollback --in {alert.environment} --workload {model} --reason {why}",
        )
    if alert.kind in _OF_THE_MODEL:
        yield Command(
            purpose="retrain",
            command=f"sluice pipeline run --workload {model} --trigger drift --reason {why}",
        )


def _why(alert: MonitoringAlert) -> str:
    return f"{trouble(alert.kind, plain(alert.family, NAME_LENGTH))} in {alert.environment}, alert {alert.id}"
