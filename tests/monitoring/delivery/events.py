"""Events, channels and settings for tests: valid ones, with what a test is about changed."""

import base64
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from contracts.environments import Environment
from monitoring.alerts.event import AlertEvent, Change, Command, Evidence, Moved
from monitoring.delivery import outbox
from monitoring.delivery.channel import Channel
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts
from records.repositories.alerts import Cause, Note, Sighting
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.rows import after

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ROUTING_KEY = "0123456789abcdef0123456789abcdef"
LOOPBACK = ("127.0.0.0/8",)
ALERT = UUID("0199f2c3-5d1e-7000-8000-0000000000a1")


def event(change: Change = Change.OPENED, **changed: Any) -> AlertEvent:
    """Returns an event of a drifted header family."""
    values: dict[str, Any] = {
        "change": change,
        "at": after(60),
        "alert_id": ALERT,
        "key": "spam-detector/production/data_drift/header",
        "model": "spam-detector",
        "environment": Environment.PRODUCTION,
        "version": "7",
        "kind": AlertKind.DATA_DRIFT,
        "family": "header",
        "severity": Severity.WARNING,
        "summary": "Received headers fell from 4 to 1.",
        "opened_at": after(0),
        "occurrences": 3,
        "evidence": Evidence(
            since=after(-3600),
            rows=1234,
            size=0.31,
            moved=(Moved(name="received_count", reference="mean 4.1", current="mean 1.2"),),
            examples=("request-1", "request-2"),
            effect="About 12 of 100 verdicts would be others.",
            cause="",
            report="",
        ),
        "console": "https://sluice.example.org/console/alerts/1",
        "report": "https://sluice.example.org/console/reports/1.html",
        "runbook": "docs/runbooks/data_drift.md",
        "commands": (
            Command(purpose="acknowledge", command="sluice alerts ack 1 --reason 'looking into it'"),
        ),
    }
    return AlertEvent(**(values | changed))


def channel(form: str, url: str, *, name: str = "on-call", **changed: Any) -> Channel:
    """Returns a channel of a format, complete."""
    secrets = {"webhook": SECRET, "pagerduty": ROUTING_KEY}
    values: dict[str, Any] = {"name": name, "format": form, "url": url, "secret": secrets.get(form)}
    return Channel(**(values | changed))


def settings(*channels: Channel, **changed: Any) -> MonitoringSettings:
    """Returns settings with these channels, which may be on loopback."""
    values: dict[str, Any] = {
        "channels": channels,
        "egress_allowed": LOOPBACK,
        "delivery_timeout_seconds": 30,
    }
    return MonitoringSettings.load(**(values | changed))


async def opened(records: Records, family: str = "header", seconds: float = 0) -> UUID:
    """Opens an alert (or counts on the open one) and returns its id."""
    cause = Cause("spam-detector", Environment.PRODUCTION, AlertKind.DATA_DRIFT, family)
    sighting = Sighting(
        severity=Severity.WARNING, summary="moved", details={}, seen_at=after(seconds), model_version="7"
    )
    async with records.transaction() as session:
        return (await alerts.open_or_count(session, cause, sighting)).alert.id


async def resolved(records: Records, alert_id: UUID) -> None:
    """Resolves an alert."""
    async with records.transaction() as session:
        await alerts.resolve(session, alert_id, Note(actor="ann", reason="mended", at=after(5)))


async def queued(
    records: Records,
    channels: Channel | tuple[Channel, ...],
    *changes: Change,
    family: str = "header",
    alert_id: UUID | None = None,
    **changed: Any,
) -> list[UUID]:
    """Queues changes of one alert for channels, each in its own transaction; returns the messages' ids."""
    told = channels if isinstance(channels, tuple) else (channels,)
    found = alert_id or await opened(records, family)
    ids = []
    for change in changes or (Change.OPENED,):
        made = event(
            change,
            alert_id=found,
            family=family,
            key=f"spam-detector/production/data_drift/{family}",
            **changed,
        )
        async with records.transaction() as session:
            ids += await outbox.tell(session, told, made, now=after(0))
    return ids


def secret(text: str) -> SecretStr:
    """Returns a secret."""
    return SecretStr(text)
