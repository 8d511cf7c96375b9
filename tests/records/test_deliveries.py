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
from records.errors import RecordMissing, RecordRejected
from records.repositories import alerts, deliveries
from records.repositories.alerts import Cause, Sighting
from records.repositories.deliveries import Message
from records.tables import WebhookDelivery
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.rows import after

LEASE = timedelta(seconds=30)
CLAIMING = Path(__file__).with_name("claiming.py")


async def opened_alert(records: Records) -> UUID:
    """Opens an alert and returns its id."""
    cause = Cause("spam-detector", Environment.PRODUCTION, AlertKind.DATA_DRIFT, "header")
    sighting = Sighting(severity=Severity.WARNING, summary="moved", details={}, seen_at=after(0))
    async with records.transaction() as session:
        return (await alerts.open_or_count(session, cause, sighting)).alert.id


async def enqueue(records: Records, alert_id: UUID | None = None, change: str = "test") -> UUID | None:
    """Queues one message in a transaction of its own."""
    message = Message(alert_id=alert_id, change=change, channel="slack", payload={"text": "moved"})
    async with records.transaction() as session:
        return await deliveries.enqueue(session, message, now=after(0))


async def claim(records: Records, seconds: float, limit: int = 10) -> list[WebhookDelivery]:
    """Claims what is due, in a transaction of its own."""
    async with records.transaction() as session:
        return await deliveries.claim_due(session, now=after(seconds), lease=LEASE, limit=limit)


async def test_a_change_is_queued_once_for_a_channel(records: Records) -> None:
    """A job that died after queueing and runs again queues nothing twice; another change is another."""
    alert_id = await opened_alert(records)
    assert await enqueue(records, alert_id, "opened") is not None
    assert await enqueue(records, alert_id, "opened") is None
    assert await enqueue(records, alert_id, "resolved") is not None
    assert await enqueue(records) is not None
    assert await enqueue(records) is not None
    async with records.reading() as session:
        assert [one.change for one in await deliveries.of_alert(session, alert_id)] == ["opened", "resolved"]
    assert len(await claim(records, 1)) == 4


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
    assert queued is not None
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
