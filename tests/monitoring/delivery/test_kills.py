"""Senders and jobs are killed at each step, and run at once: nothing is lost, and each change counts once."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from standardwebhooks import Webhook

from monitoring.alerts.event import Change
from monitoring.delivery.attempts import Sent
from monitoring.delivery.channel import Channel
from monitoring.delivery.sender import send_due
from records.engine import Records
from records.repositories import alerts, deliveries
from tests.monitoring.delivery.events import SECRET, channel, opened, queued, settings
from tests.monitoring.delivery.receiver import OK, Received, Receiver, answer
from tests.records.rows import after

LEASE_SECONDS = 2 * 30 + 60
WAIT_SECONDS = 60
STORY = (Change.OPENED, Change.RESOLVED)


class Child:
    """A process of a test: it is told to go on, and killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, line: str) -> None:
        """Returns when it has said this."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await self._process.stdout.readline()).decode().strip() == line

    def go(self) -> None:
        """Lets it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def ended(self) -> str:
        """Returns what it said at its end."""
        async with asyncio.timeout(WAIT_SECONDS):
            said, _ = await self._process.communicate()
        assert self._process.returncode == 0
        return said.decode().splitlines()[-1]

    async def kill(self) -> None:
        """Ends it at once."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.communicate()


@asynccontextmanager
async def child(address: str, home: Path, told: Channel, module: str, *words: str) -> AsyncIterator[Child]:
    """Yields a process that serves one channel; it is killed at the end."""
    configured = {
        "name": told.name,
        "format": told.format,
        "url": told.url.get_secret_value(),
        "secret": told.secret.get_secret_value() if told.secret else None,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", f"tests.monitoring.delivery.{module}", *words),
        env={
            "PATH": os.environ["PATH"],
            "RECORDS_URL": address,
            "SLUICE_HOME": str(home),
            "MONITORING_CHANNELS": json.dumps([configured]),
            "MONITORING_EGRESS_ALLOWED": '["127.0.0.0/8"]',
            "MONITORING_DELIVERY_TIMEOUT_SECONDS": "30",
        },
        cwd=Path(__file__).parents[3],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Child(process)
    try:
        yield made
    finally:
        await made.kill()


@asynccontextmanager
async def sender(address: str, home: Path, told: Channel) -> AsyncIterator[Child]:
    """Yields a sender that is about to begin."""
    async with child(address, home, told, "sending") as made:
        await made.says("ready")
        yield made


async def finished(records: Records, told: Channel, seconds: float) -> Sent:
    """Runs a pass here, so many seconds after noon."""
    return await send_due(records, settings(told), now=after(seconds))


def counted(receiver: Receiver) -> list[str]:
    """Returns the changes as a receiver counts them that drops repeated ids, each verified."""
    known: dict[str, str] = {}
    for request in receiver.received:
        body, headers = request.body.decode(), request.headers
        stamp = headers["webhook-timestamp"]
        assert (
            Webhook(SECRET).sign(headers["webhook-id"], after(int(stamp) - after(0).timestamp()), body)
            in (headers["webhook-signature"])
        )
        known.setdefault(headers["webhook-id"], request.document["change"])
    return list(known.values())


async def attempts(records: Records, ids: list[UUID]) -> list[int]:
    """Returns how often each message was claimed."""
    async with records.reading() as session:
        rows = [await deliveries.by_id(session, each) for each in ids]
    return [row.attempts for row in rows if row is not None]


async def test_killed_before_the_claim(
    memory: Records, file_address: str, tmp_path: Path, receiver: Receiver
) -> None:
    """Nothing happened; the next sender sends at once."""
    told = channel("webhook", receiver.url())
    ids = await queued(memory, told, *STORY)
    async with sender(file_address, tmp_path, told) as first:
        await first.kill()
    assert await attempts(memory, ids) == [0, 0]
    assert await finished(memory, told, 1) == Sent(delivered=2)
    assert counted(receiver) == ["opened", "resolved"]
    assert len(receiver.received) == 2


async def test_killed_after_the_claim_and_before_sending(
    memory: Records, file_address: str, tmp_path: Path, receiver: Receiver
) -> None:
    """It had claimed, and was agreeing on TLS: when its claim ends the next sender sends, in order."""
    async with silent() as (port, connected):
        told = channel("webhook", f"https://127.0.0.1:{port}/")
        ids = await queued(memory, told, *STORY)
        async with sender(file_address, tmp_path, told) as first:
            first.go()
            async with asyncio.timeout(WAIT_SECONDS):
                await connected.wait()
            await first.kill()
    assert await attempts(memory, ids) == [1, 0]
    mended = channel("webhook", receiver.url())
    assert await finished(memory, mended, 60) == Sent()
    assert await finished(memory, mended, LEASE_SECONDS + 60) == Sent(delivered=2)
    assert counted(receiver) == ["opened", "resolved"]


async def test_killed_after_sending_and_before_the_answer(
    memory: Records, file_address: str, tmp_path: Path, receiver: Receiver
) -> None:
    """The receiver may have counted it: it gets the same id again, and then what follows."""

    async def hold(_request: Received, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    receiver.behaviour = hold
    told = channel("webhook", receiver.url())
    ids = await queued(memory, told, *STORY)
    async with sender(file_address, tmp_path, told) as first:
        first.go()
        await receiver.wait(lambda: len(receiver.received) == 1)
        await first.kill()
    await repeated(memory, told, receiver, ids)


async def test_killed_after_the_answer_and_before_the_mark(
    memory: Records, file_address: str, tmp_path: Path, receiver: Receiver
) -> None:
    """The answer was there, and could not be written: again the same id."""
    told = channel("webhook", receiver.url())
    ids = await queued(memory, told, *STORY)
    locked, answered = asyncio.Event(), asyncio.Event()

    async def lock_then_answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        await locked.wait()
        writer.write(OK)
        await writer.drain()
        answered.set()

    receiver.behaviour = lock_then_answer
    async with sender(file_address, tmp_path, told) as first:
        first.go()
        await receiver.wait(lambda: len(receiver.received) == 1)
        async with memory.transaction() as session:
            # Held by this transaction: in SQLite the only writer's lock, in PostgreSQL the lock of the row.
            await deliveries.resend_all(session, now=after(0))
            await deliveries.bury_unconfigured(session, [], now=after(WAIT_SECONDS * 60), error="held")
            locked.set()
            async with asyncio.timeout(WAIT_SECONDS):
                await answered.wait()
            await first.kill()
            await session.rollback()
    await repeated(memory, told, receiver, ids)


async def repeated(records: Records, told: Channel, receiver: Receiver, ids: list[UUID]) -> None:
    """The message that was on its way comes once more with its id, and the story goes on."""
    receiver.behaviour = Receiver().behaviour
    assert await finished(records, told, LEASE_SECONDS - 1) == Sent()
    assert await finished(records, told, LEASE_SECONDS + 60) == Sent(delivered=2)
    assert [request.headers["webhook-id"] for request in receiver.received] == [
        str(ids[0]),
        str(ids[0]),
        str(ids[1]),
    ]
    assert counted(receiver) == ["opened", "resolved"]
    assert await finished(records, told, 100_000) == Sent()


async def test_two_senders_at_once_send_each_message_once(
    records: Records, address: str, tmp_path: Path, receiver: Receiver
) -> None:
    """Stories of two changes, in order, shared by two processes; the channel refuses each fourth at first."""
    seen: set[str] = set()
    refused: set[str] = set()

    async def moody(request: Received, writer: asyncio.StreamWriter) -> None:
        key = request.headers["webhook-id"]
        if key not in seen and len(seen) % 4 == 0:
            refused.add(key)
        writer.write(answer(503, Retry_After="0") if key in refused - seen else OK)
        seen.add(key)

    receiver.behaviour = moody
    told = channel("webhook", receiver.url())
    families = [f"family {number}" for number in range(15)]
    ids = [each for family in families for each in await queued(records, told, *STORY, family=family)]
    async with sender(address, tmp_path, told) as one, sender(address, tmp_path, told) as two:
        one.go()
        two.go()
        delivered = await asyncio.gather(one.ended(), two.ended())
    assert sum(map(int, delivered)) == len(ids)
    arrived = Counter(request.headers["webhook-id"] for request in receiver.received)
    assert len(refused) > 3
    assert arrived == {str(each): 1 + (str(each) in refused) for each in ids}
    for family in families:
        story = [r.document["change"] for r in receiver.received if r.document["family"] == family]
        assert list(dict.fromkeys(story)) == ["opened", "resolved"]


async def test_a_job_killed_before_its_commit_wrote_nothing(
    memory: Records, file_address: str, tmp_path: Path, receiver: Receiver
) -> None:
    """Neither the alert nor the message; killed after it, both."""
    told = channel("webhook", receiver.url())
    for where, expected in (("before", 0), ("after", 1)):
        async with child(file_address, tmp_path, told, "queueing", where) as job:
            await job.says("written")
            await job.kill()
        async with memory.reading() as session:
            assert len(await alerts.listed(session)) == expected
            assert len(await deliveries.latest(session)) == expected
    assert await finished(memory, told, 10) == Sent(delivered=1)
    assert counted(receiver) == ["opened"]


async def test_a_pager_gets_one_key_for_all_attempts(memory: Records, receiver: Receiver) -> None:
    """What a webhook's id is to a webhook, the deduplication key is to PagerDuty."""
    told = channel("pagerduty", receiver.url())
    alert_id = await opened(memory)
    await queued(memory, told, *STORY, alert_id=alert_id)
    async with memory.transaction() as session:
        (lost,) = await deliveries.claim_due(session, now=after(0), lease=after(9) - after(0))
    assert lost.attempts == 1
    assert await finished(memory, told, 10) == Sent(delivered=2)
    assert [request.document["event_action"] for request in receiver.received] == ["trigger", "resolve"]
    assert len({request.document["dedup_key"] for request in receiver.received}) == 1


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Yields the port of a server that takes connections and says nothing, and when the first one came."""
    connected = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], connected
    finally:
        server.close()
