"""Into the outbox: an event for each channel that wants it, in the transaction that changes the alert."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from monitoring.alerts.event import AlertEvent, Change
from monitoring.delivery.channel import Channel
from records.repositories import deliveries
from records.repositories.deliveries import Message
from records.tables.monitoring_alerts import Severity

_ORDER: Final = tuple(Severity)


async def tell(
    session: AsyncSession,
    channels: Sequence[Channel],
    event: AlertEvent,
    *,
    now: datetime,
    due: datetime | None = None,
) -> list[UUID]:
    """Queues `event` for each channel that wants it and was not told of this change; returns the ids.

    It is sent at once, or not before `due`. Call it in the transaction that changes the alert: then there is
    never the one without the other.
    """
    told = []
    for channel in channels:
        if not wants(channel, event):
            continue
        message = Message(
            alert_id=event.alert_id,
            change=change_of(event),
            channel=channel.name,
            payload=event.model_dump(mode="json"),
        )
        if (queued := await deliveries.enqueue(session, message, now=now, due=due)) is not None:
            told.append(queued)
    return told


def change_of(event: AlertEvent) -> str:
    """Returns the change's name, once for its alert: it worsens once to each severity."""
    return f"{event.change}:{event.severity}" if event.change is Change.WORSENED else event.change.value


def wants(channel: Channel, event: AlertEvent) -> bool:
    """Tells whether `channel` is to be told of `event`.

    A test goes wherever it is sent, and who heard of an alert hears how it goes on, whatever its severity is
    by then (`monitoring.alerts.book` leaves out who did not hear of it).
    """
    return event.change in (Change.TEST, Change.ACKNOWLEDGED, Change.RESOLVED) or (
        event.environment in channel.environments
        and event.kind in channel.kinds
        and _ORDER.index(event.severity) >= _ORDER.index(channel.min_severity)
    )
