"""The sender: takes due messages out of the outbox, sends them, and says how it went.

Channels are served side by side, each in its own order and its own time: one that hangs holds up nothing of
another. A message is claimed and committed, then sent, then marked. Killed between, it is due again when its
claim ends, and is sent with the same id and the same deduplication key.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from monitoring.delivery.attempts import Attempts, Sent, Wire, clock_from
from monitoring.delivery.channel import Channel
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import deliveries
from records.tables import WebhookDelivery

UNCONFIGURED: Final = "the channel is not configured any more"

LOOK_AGAIN_SECONDS: Final = 1
"""How long a channel that hangs may keep a pass from looking what became due to the others."""

log: Final = structlog.get_logger(__name__)


async def send_due(
    records: Records,
    settings: MonitoringSettings,
    *,
    now: datetime,
    only: str | None = None,
    wire: Wire | None = None,
) -> Sent:
    """Sends what is due at `now` and returns what became of it; `only` to one channel, if it is named.

    A pass is bounded: a channel is left for the next one after its first failure, and when its time
    (`delivery_timeout_seconds`) is over. While one still hangs, what becomes due to the others is sent.

    Raises:
        RecordsUnavailable: the records do not answer; what was claimed is due again when the claim ends.
    """
    clock = clock_from(now)
    channels = {channel.name: channel for channel in settings.channels if only in (None, channel.name)}
    attempts = Attempts(records, settings, wire or Wire(), clock)
    longest = timedelta(seconds=settings.delivery_timeout_seconds)
    waiting = await _due(records, now)
    sent = Sent()
    if only is None and waiting - channels.keys():
        sent += await _bury(records, settings, now)

    def started(names: Iterable[str], at: datetime) -> set[asyncio.Task[Sent]]:
        return {
            asyncio.create_task(_turn(records, channels[name], attempts, at, longest), name=name)
            for name in names
        }

    first = started(waiting & channels.keys(), now)
    turns = set(first)
    try:
        while not all(turn.done() for turn in turns):
            await asyncio.wait(turns, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.ALL_COMPLETED)
            if not all(turn.done() for turn in first):
                busy = {turn.get_name() for turn in turns if not turn.done()}
                failed = {turn.get_name() for turn in turns if turn.done() and not _went_well(turn)}
                at = clock()
                turns |= started((await _due(records, at) & channels.keys()) - busy - failed, at)
    finally:
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
    return sum((turn.result() for turn in turns), sent)


async def send_one(
    records: Records,
    settings: MonitoringSettings,
    channel: Channel,
    delivery_id: UUID,
    *,
    now: datetime,
    wire: Wire | None = None,
) -> bool:
    """Sends one message out of its turn, as `send_due` does; False if it is not due, or another has it."""
    attempts = Attempts(records, settings, wire or Wire(), clock_from(now))
    async with records.transaction() as session:
        delivery = await deliveries.claim(session, delivery_id, now=now, lease=attempts.lease)
    if delivery is None:
        return False
    await attempts.attempt(channel, delivery)
    return True


def _went_well(turn: asyncio.Task[Sent]) -> bool:
    return turn.exception() is None and not turn.result().again


async def _due(records: Records, now: datetime) -> set[str]:
    async with records.reading() as session:
        return await deliveries.due_channels(session, now=now)


async def _turn(
    records: Records, channel: Channel, attempts: Attempts, at: datetime, longest: timedelta
) -> Sent:
    """Sends what is due to `channel` at `at`, one message after the other."""
    sent = Sent()
    clock = clock_from(at)
    while (delivery := await _claimed(records, channel, attempts, at)) is not None:
        result = await attempts.attempt(channel, delivery)
        sent += result
        if result.again or clock() >= at + longest:
            break
    return sent


async def _claimed(
    records: Records, channel: Channel, attempts: Attempts, now: datetime
) -> WebhookDelivery | None:
    async with records.transaction() as session:
        claimed = await deliveries.claim_due(
            session, now=now, lease=attempts.lease, limit=1, channel=channel.name
        )
    return claimed[0] if claimed else None


async def _bury(records: Records, settings: MonitoringSettings, now: datetime) -> Sent:
    names = [channel.name for channel in settings.channels]
    async with records.transaction() as session:
        gone = await deliveries.bury_unconfigured(session, names, now=now, error=UNCONFIGURED)
    log.warning("deliveries_unconfigured", count=gone)
    return Sent(dead=gone)
