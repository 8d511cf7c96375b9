"""What happens to alerts in tests, minute by minute, and what channels hear of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select

from contracts.environments import Environment
from kit.home import Home
from monitoring.alerts import book
from monitoring.alerts.book import Entry, Sighting
from monitoring.alerts.event import AlertEvent, Evidence, Moved
from monitoring.delivery.channel import Channel
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts
from records.repositories.alerts import Cause, Note
from records.tables import MonitoringAlert, WebhookDelivery
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.traffic import NOON

HEADER = Cause("spam-detector", Environment.PRODUCTION, AlertKind.DATA_DRIFT, "header")
EVIDENCE = Evidence(
    since=NOON,
    rows=1200,
    size=0.3,
    moved=(Moved(name="hop_count", reference="median 3", current="median 9"),),
    examples=("row-1", "row-2", "row-3"),
    effect="No change beyond chance.",
)


def channels(*names: str, critical: str = "") -> tuple[Channel, ...]:
    """Returns channels of these names that want everything, and one that wants what is critical."""
    url = SecretStr("https://hooks.invalid/services/x")
    found = [Channel(name=name, format="slack", url=url) for name in names]
    if critical:
        found.append(Channel(name=critical, format="slack", url=url, min_severity=Severity.CRITICAL))
    return tuple(found)


def minute(number: float) -> datetime:
    """Returns the instant `number` minutes after noon."""
    return NOON + timedelta(minutes=number)


def note(number: float, actor: str = "ada", reason: str = "looked at it") -> Note:
    """Returns who, why and when."""
    return Note(actor=actor, reason=reason, at=minute(number))


@dataclass(frozen=True)
class Book:
    """The book of alerts in real records."""

    records: Records
    settings: MonitoringSettings
    home: Home

    def with_channels(self, *wanted: Channel) -> "Book":
        """Returns the same book with other channels."""
        return replace(self, settings=self.settings.model_copy(update={"channels": wanted}))

    async def see(
        self, number: float, severity: Severity = Severity.WARNING, *, cause: Cause = HEADER, **changed: Any
    ) -> Entry:
        """Writes a sighting in a transaction of its own."""
        values: dict[str, Any] = {
            "severity": severity,
            "summary": "The header features drifted.",
            "evidence": EVIDENCE,
            "seen_at": minute(number),
            "model_version": "7",
        }
        async with self.records.transaction() as session:
            sighting = Sighting(**(values | changed))
            return await book.sighted(session, self.settings, self.home, cause, sighting)

    async def quiet(self, number: float, cause: Cause = HEADER) -> Entry | None:
        """Writes a run that did not see the cause."""
        async with self.records.transaction() as session:
            return await book.quiet(session, self.settings, self.home, cause, minute(number))

    async def acknowledge(self, alert: MonitoringAlert | UUID, said: Note) -> Entry:
        """Writes that someone looks after it."""
        return await book.acknowledge(self.records, self.settings, self.home, _id(alert), said)

    async def resolve(self, alert: MonitoringAlert | UUID, said: Note) -> Entry:
        """Writes that someone closed it."""
        return await book.resolve(self.records, self.settings, self.home, _id(alert), said)

    async def mute(self, alert: MonitoringAlert, number: float, until: float) -> Entry:
        """Mutes it from one minute until another."""
        return await book.mute(self.records, alert.id, note(number), until=minute(until))

    async def unmute(self, alert: MonitoringAlert, number: float) -> Entry:
        """Ends the mute."""
        return await book.unmute(self.records, alert.id, note(number))

    async def heard(self, channel: str = "all") -> list[str]:
        """Returns the changes that a channel was told of, oldest first."""
        return [message.change for message in await self.messages(channel)]

    async def messages(self, channel: str = "all") -> Sequence[WebhookDelivery]:
        """Returns the messages to a channel, in the order in which they were queued."""
        query = select(WebhookDelivery).where(WebhookDelivery.channel == channel)
        async with self.records.reading() as session:
            rows = await session.scalars(query.order_by(WebhookDelivery.id))
            return list(rows)

    async def events(self, channel: str = "all") -> list[AlertEvent]:
        """Returns the events that a channel was told, as they would be rendered."""
        return [AlertEvent.model_validate(message.payload) for message in await self.messages(channel)]

    async def alerts(self) -> list[MonitoringAlert]:
        """Returns all alerts, newest first."""
        async with self.records.reading() as session:
            return await alerts.listed(session, open_only=False)


def _id(alert: MonitoringAlert | UUID) -> UUID:
    return alert if isinstance(alert, UUID) else alert.id
