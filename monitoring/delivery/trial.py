"""A test message: queued, claimed, rendered and sent by the very path that an alert takes, and tried once."""

import asyncio
import time
from datetime import datetime
from typing import Final

from kit.errors import UsageError
from kit.home import Home
from monitoring.alerts.event import AlertEvent, Change, Command, Evidence
from monitoring.alerts.events import console_url
from monitoring.delivery import outbox, sender
from monitoring.delivery.attempts import Wire
from monitoring.delivery.channel import Channel
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import deliveries
from records.tables import WebhookDelivery
from records.tables.monitoring_alerts import Severity
from records.tables.webhook_deliveries import DeliveryStatus

GUIDE: Final = "docs/webhooks.md"
_LOOK_SECONDS: Final = 0.2
_MARGIN_SECONDS: Final = 5


def channel_of(settings: MonitoringSettings, name: str) -> Channel:
    """Returns the configured channel `name`.

    Raises:
        UsageError: there is none.
    """
    for channel in settings.channels:
        if channel.name == name:
            return channel
    names = ", ".join(channel.name for channel in settings.channels)
    raise UsageError(
        f"There is no channel {name!r}.",
        next_step=f"Configured are: {names}." if names else f"Set MONITORING_CHANNELS; {GUIDE} says how.",
    )


async def tried(
    records: Records,
    settings: MonitoringSettings,
    home: Home,
    channel: Channel,
    *,
    severity: Severity,
    now: datetime,
    wire: Wire | None = None,
) -> WebhookDelivery:
    """Queues a test message to `channel`, delivers it, and returns what became of it.

    If another sender takes it first, its attempt is waited for.
    """
    event = _event(settings, home, channel, severity, now)
    async with records.transaction() as session:
        (queued,) = await outbox.tell(session, [channel], event, now=now)
    await sender.send_one(records, settings, channel, queued, now=now, wire=wire)
    ends = time.monotonic() + settings.delivery_timeout_seconds + _MARGIN_SECONDS
    while True:
        async with records.reading() as session:
            delivery = await deliveries.by_id(session, queued)
        if delivery is not None and (delivery.status != DeliveryStatus.PENDING or time.monotonic() > ends):
            return delivery
        await asyncio.sleep(_LOOK_SECONDS)


def _event(
    settings: MonitoringSettings, home: Home, channel: Channel, severity: Severity, now: datetime
) -> AlertEvent:
    return AlertEvent(
        change=Change.TEST,
        at=now,
        alert_id=None,
        key=f"test/{channel.name}",
        model="sluice",
        environment=channel.environments[0],
        version=None,
        kind=channel.kinds[0],
        family="",
        severity=severity,
        summary=f"This is a test of the channel {channel.name}: nothing is wrong.",
        opened_at=now,
        occurrences=1,
        evidence=Evidence(),
        console=console_url(settings, home),
        runbook=GUIDE,
        commands=(Command(purpose="look", command="sluice alerts deliveries"),),
    )
