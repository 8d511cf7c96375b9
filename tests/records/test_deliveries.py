"""The outbox sends each change once to each channel, and loses none when a sender dies."""

import asyncio
import os
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from contracts.environments import Environment
from records.engine import Records
from records.errors import DeliveryOvertaken, RecordMissing, RecordRejected
from records.repositories import alerts, deliveries
from records.repositories.alerts import Cause, Note, Sighting
from records.repositories.deliveries import Message
from records.repositories.waiting import Waiting, waiting
from records.tables import WebhookDelivery
from records.tables.monitoring_alerts import AlertKind, Severity
from records.tables.webhook_deliveries import DeliveryStatus
from tests.records.rows import after

LEASE = timedelta(seconds=30)
CLAIMING = Path(__file__).with_name("claiming.py")


async def opened_alert(records: Records, family: str = "header") -> UUID:
    """Opens an alert and returns its id."""
    cause = Cause("spam-detector", Environment.PRODUCTION, AlertKind.DATA_DRIFT, family)
    sighting = Sighting(severity=Severity.WARNING, summary="moved", details={}, seen_at=after(0))
    async with records.transaction() as session:
        return (await alerts.open_or_count(session, cause, sighting)).alert.id


async def resolved(records: Records, alert_id: UUID) -> None:
    """Resolves an alert, so that its cause may open another."""
    async with records.transaction() as session:
        await alerts.resolve(session, alert_id, Note(actor="ann", reason="mended", at=after(5)))


async def enqueue(
    records: Records,
    alert_id: UUID | None = None,
    change: str = "test",
    *,
    channel: str = "slack",
    due: float = 0,
) -> UUID:
    """Queues one message in a transaction of its own and returns its id."""
    queued = await queue(records, alert_id, change, channel=channel, due=due)
    assert queued is not None
    return queued


async def queue(
    records: Records, alert_id: UUID | None, change: str, *, channel: str = "slack", due: float = 0
) -> UUID | None:
    """Queues one message in a transaction of its own."""
    message = Message(alert_id=alert_id, change=change, channel=channel, payload={"text": change})
    async with records.transaction() as session:
        return await deliveries.enqueue(session, message, now=after(0), due=after(due))


async def mark(records: Records, delivery: WebhookDelivery, status: DeliveryStatus) -> None:
    """Says how an attempt ended, in a transaction of its own."""
    async with records.transaction() as session:
        if status is DeliveryStatus.DELIVERED:
            assert await deliveries.mark_delivered(session, delivery, now=after(1), http_status=200)
        elif status is DeliveryStatus.DEAD:
            assert await deliveries.mark_dead(session, delivery, error="gone", http_status=410)
        else:
            assert await deliveries.mark_failed(session, delivery, error="no", next_attempt_at=after(50))


async def claim(
    records: Records, seconds: float, limit: int = 10, channel: str | None = None
) -> list[WebhookDelivery]:
    """Claims what is due, in a transaction of its own."""
    async with records.transaction() as session:
        return await deliveries.claim_due(
            session, now=after(seconds), lease=LEASE, limit=limit, channel=channel
        )


async def test_a_change_is_queued_once_for_a_channel(records: Records) -> None:
    """A job that died after queueing and runs again queues nothing twice; another change is another."""
    alert_id = await opened_alert(records)
    await enqueue(records, alert_id, "opened")
    assert await queue(records, alert_id, "opened") is None
    await enqueue(records, alert_id, "resolved")
    await enqueue(records)
    await enqueue(records)
    async with records.reading() as session:
        assert [one.change for one in await deliveries.of_alert(session, alert_id)] == ["opened", "resolved"]
    assert len(await claim(records, 1)) == 3  # `resolved` waits for `opened`


async def test_a_message_about_no_alert_that_exists_is_refused(records: Records) -> None:
    """Foreign keys hold in SQLite too."""
    with pytest.raises(RecordRejected):
        await enqueue(records, uuid4(), "opened")


async def test_a_message_is_due_at_its_time_and_not_before(records: Records) -> None:
    """Nor while another sender holds it; after a failure it waits for its next attempt."""
    await enqueue(records)
    assert await claim(records, -1) == []
    (first,) = await claim(records, 0)
    assert first.attempts == 1
    assert await claim(records, 29) == []
    async with records.transaction() as session:
        assert await deliveries.mark_failed(
            session, first, error="x" * 5000, next_attempt_at=after(100), http_status=500
        )
    assert await claim(records, 99) == []
    (second,) = await claim(records, 100)
    assert (second.attempts, second.last_status, len(second.last_error or "")) == (2, 500, 2000)


async def test_a_delivered_message_is_done(records: Records) -> None:
    """It is not due again, ever."""
    await enqueue(records)
    (delivery,) = await claim(records, 0)
    async with records.transaction() as session:
        assert await deliveries.mark_delivered(session, delivery, now=after(1), http_status=200)
    assert await claim(records, 10_000) == []


async def test_a_sender_that_died_loses_its_claim_and_its_say(records: Records) -> None:
    """After the lease another sends; what the first says then is void."""
    await enqueue(records)
    (lost,) = await claim(records, 0)
    (taken,) = await claim(records, 30)
    assert taken.id == lost.id
    async with records.transaction() as session:
        assert not await deliveries.mark_delivered(session, lost, now=after(31), http_status=200)
        assert not await deliveries.mark_failed(session, lost, error="late", next_attempt_at=after(999))
        assert not await deliveries.mark_dead(session, lost, error="late")
        assert await deliveries.mark_delivered(session, taken, now=after(32), http_status=202)


async def test_a_dead_letter_is_seen_and_can_be_sent_again(records: Records) -> None:
    """Its attempts count from zero; what is not dead cannot be resent."""
    queued = await enqueue(records)
    (delivery,) = await claim(records, 0)
    with pytest.raises(RecordMissing):
        await _resend(records, queued)
    async with records.transaction() as session:
        assert await deliveries.mark_dead(session, delivery, error="gone", http_status=410)
    assert await claim(records, 10_000) == []
    async with records.reading() as session:
        (dead,) = await deliveries.dead_letters(session)
    assert (dead.id, dead.last_status, dead.last_error) == (queued, 410, "gone")
    await _resend(records, queued)
    (again,) = await claim(records, 50)
    assert again.attempts == 1


@pytest.mark.parametrize("ending", [DeliveryStatus.DELIVERED, DeliveryStatus.DEAD])
async def test_a_change_waits_for_the_one_before_it(records: Records, ending: DeliveryStatus) -> None:
    """`resolved` is not due while `opened` waits, is being sent, or is to be tried again."""
    alert_id = await opened_alert(records)
    opened = await enqueue(records, alert_id, "opened")
    later = await enqueue(records, alert_id, "resolved")
    (first,) = await claim(records, 0)
    assert first.id == opened
    assert await claim(records, 1) == []
    await mark(records, first, DeliveryStatus.PENDING)
    assert await claim(records, 2) == []
    (again,) = await claim(records, 60)
    await mark(records, again, ending)
    (second,) = await claim(records, 61)
    assert second.id == later


async def test_only_the_same_channel_and_cause_wait(records: Records) -> None:
    """The next alert of a cause waits for the end of the one before; other causes and channels do not."""
    alert_id = await opened_alert(records)
    first = await enqueue(records, alert_id, "resolved")
    await resolved(records, alert_id)
    following = await opened_alert(records)
    waits = await enqueue(records, following, "opened")
    other_channel = await enqueue(records, following, "opened", channel="pager")
    other_cause = await enqueue(records, await opened_alert(records, "score"), "opened")
    assert {one.id for one in await claim(records, 0)} == {first, other_channel, other_cause}
    async with records.reading() as session:
        assert (await deliveries.by_id(session, waits)) is not None
    assert await claim(records, 1) == []


async def test_what_was_put_off_goes_before_what_follows(records: Records) -> None:
    """A message that waits for the end of a mute is due when the next one about its cause is."""
    alert_id = await opened_alert(records)
    put_off = await enqueue(records, alert_id, "acknowledged", due=1000)
    elsewhere = await enqueue(records, alert_id, "acknowledged", channel="pager", due=1000)
    assert await claim(records, 500) == []
    at_once = await enqueue(records, alert_id, "worsened:critical", due=500)
    (first,) = await claim(records, 500)
    assert first.id == put_off
    await mark(records, first, DeliveryStatus.DELIVERED)
    (second,) = await claim(records, 500)
    assert second.id == at_once
    (third,) = await claim(records, 1000, channel="pager")
    assert third.id == elsewhere


async def test_a_claim_may_be_for_one_channel_or_one_message(records: Records) -> None:
    """What others wait for is left alone; what is taken already, or not due, is not taken."""
    slack, pager = await enqueue(records), await enqueue(records, channel="pager")
    assert [one.id for one in await claim(records, 0, channel="pager")] == [pager]
    async with records.transaction() as session:
        assert await deliveries.claim(session, slack, now=after(-1), lease=LEASE) is None
        one = await deliveries.claim(session, slack, now=after(0), lease=LEASE)
        assert one is not None
        assert await deliveries.claim(session, slack, now=after(0), lease=LEASE) is None
    await mark(records, one, DeliveryStatus.DELIVERED)
    async with records.transaction() as session:
        assert await deliveries.claim(session, slack, now=after(99), lease=LEASE) is None


async def test_messages_to_a_channel_that_is_gone_are_given_up(records: Records) -> None:
    """Those that are due, with the reason; one that a sender holds is left to it."""
    held, gone, kept = await enqueue(records), await enqueue(records), await enqueue(records, channel="pager")
    async with records.transaction() as session:
        assert await deliveries.claim(session, held, now=after(0), lease=LEASE) is not None
    async with records.transaction() as session:
        assert await deliveries.bury_unconfigured(session, ["pager"], now=after(0), error="no channel") == 1
    async with records.reading() as session:
        dead = await deliveries.dead_letters(session)
        assert [(one.id, one.last_error) for one in dead] == [(gone, "no channel")]
        assert [one.id for one in await deliveries.latest(session)] == [kept, gone, held]
    async with records.transaction() as session:
        assert await deliveries.bury_unconfigured(session, [], now=after(999), error="no channel") == 2


async def test_what_a_later_change_has_overtaken_is_not_sent_again(records: Records) -> None:
    """`opened` after `resolved` would open an incident that nobody closes; in their order both are sent."""
    alert_id = await opened_alert(records)
    opened, last = await enqueue(records, alert_id, "opened"), await enqueue(records, alert_id, "resolved")
    elsewhere = await enqueue(records, alert_id, "opened", channel="pager")
    for status in (DeliveryStatus.DEAD, DeliveryStatus.DEAD):
        for delivery in await claim(records, 0):
            await mark(records, delivery, status)
    async with records.transaction() as session:
        assert await deliveries.resend_all(session, now=after(50)) == 3
    claimed = {one.id: one for one in await claim(records, 50)}
    assert set(claimed) == {opened, elsewhere}
    for delivery in claimed.values():
        await mark(records, delivery, DeliveryStatus.DEAD)
    (end,) = await claim(records, 50)
    assert end.id == last
    await mark(records, end, DeliveryStatus.DELIVERED)
    with pytest.raises(DeliveryOvertaken):
        await _resend(records, opened)
    async with records.transaction() as session:
        assert await deliveries.resend_all(session, now=after(60)) == 1
    assert [one.id for one in await claim(records, 60)] == [elsewhere]


async def test_who_was_told_what_and_what_waits(records: Records) -> None:
    """Earlier payloads of an alert and channel; counts and the oldest by channel and status."""
    alert_id = await opened_alert(records)
    await enqueue(records, alert_id, "opened")
    await enqueue(records, alert_id, "opened", channel="pager")
    last = await enqueue(records, alert_id, "resolved")
    async with records.reading() as session:
        delivery = await deliveries.by_id(session, last)
        assert delivery is not None
        assert await deliveries.told_before(session, delivery) == [{"text": "opened"}]
    for one in await claim(records, 0, channel="pager"):
        await mark(records, one, DeliveryStatus.DEAD)
    async with records.reading() as session:
        assert await waiting(session) == [
            Waiting("pager", DeliveryStatus.DEAD, 1, after(0)),
            Waiting("slack", DeliveryStatus.PENDING, 2, after(0)),
        ]
    for _ in range(2):
        for one in await claim(records, 0):
            await mark(records, one, DeliveryStatus.DELIVERED)
    async with records.reading() as session:
        assert [each.channel for each in await waiting(session)] == ["pager"]


async def test_sessions_at_once_never_claim_the_same_message(records: Records) -> None:
    """Eight claims of five on thirty messages: thirty claimed, none twice."""
    for _ in range(30):
        await enqueue(records)
    claims = await asyncio.gather(*(claim(records, 0, limit=5) for _ in range(8)))
    taken = Counter(delivery.id for part in claims for delivery in part)
    assert set(taken.values()) == {1}
    # PostgreSQL's claims step over each other's rows and may leave some for the next round.
    taken.update(delivery.id for delivery in await claim(records, 0, limit=30))
    assert len(taken) == 30
    assert set(taken.values()) == {1}


async def test_processes_at_once_never_claim_the_same_message(records: Records, address: str) -> None:
    """Three senders, started together, share forty messages."""
    for _ in range(40):
        await enqueue(records)
    senders = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", CLAIMING),
            env={"RECORDS_URL": address, "PYTHONPATH": os.getcwd(), "PATH": ""},  # noqa: PTH109
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for sender in senders:
        assert sender.stdout is not None
        assert await sender.stdout.readline() == b"ready\n"
    printed = await asyncio.gather(*(sender.communicate(b"go\n") for sender in senders))
    assert [sender.returncode for sender in senders] == [0, 0, 0]
    taken = Counter(b"".join(output for output, _ in printed).split())
    assert len(taken) == 40
    assert set(taken.values()) == {1}


async def _resend(records: Records, delivery_id: UUID) -> None:
    async with records.transaction() as session:
        await deliveries.resend(session, delivery_id, now=after(50))
