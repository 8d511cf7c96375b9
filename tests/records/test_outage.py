"""A database that is down, silent, busy, full or foreign gives one typed error in bounded time."""

import asyncio
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from records import migrate
from records.engine import Records
from records.errors import RecordsUnavailable
from records.postgresql import Postgresql, temporary
from records.repositories import predictions
from tests.records.conftest import connect, migrated, on_postgresql
from tests.records.rows import NOON, prediction

BOUND_SECONDS = 30
"""Far above what is expected on a busy machine, far below a hang."""


@pytest.fixture
def mortal() -> Iterator[Postgresql]:
    """A PostgreSQL of the test's own, to be stopped."""
    with temporary() as server:
        migrated(server.url())
        yield server


async def answers(records: Records) -> bool:
    """Returns True if the records can be read; raises what they raise."""
    async with records.reading() as session:
        return await predictions.by_request_id(session, "request-0") is not None


@on_postgresql
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_the_pool_recovers_when_the_database_is_back(mortal: Postgresql, how: signal.Signals) -> None:
    """Stopped in order or crashed: an error of ours while it is down, answers from the same pool after."""
    records = connect(mortal.url())
    async with records.transaction() as session:
        await predictions.insert_many(session, [prediction()], recorded_at=NOON)
    assert await answers(records)
    await asyncio.to_thread(mortal.stop, how)
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(RecordsUnavailable) as down:
            await answers(records)
        assert "sluice records status" in str(down.value.next_step)
    with pytest.raises(RecordsUnavailable):
        await migrate.check_ready(records.engine)
    assert time.monotonic() - started < BOUND_SECONDS
    await asyncio.to_thread(mortal.start)
    assert await answers(records)
    await migrate.check_ready(records.engine)
    await records.close()


@on_postgresql
async def test_a_connection_that_breaks_within_a_transaction_is_unavailable(mortal: Postgresql) -> None:
    """And what the transaction had written is not there after."""
    records = connect(mortal.url())

    async def broken() -> None:
        async with records.transaction() as session:
            await predictions.insert_many(session, [prediction()], recorded_at=NOON)
            await asyncio.to_thread(mortal.stop, signal.SIGQUIT)
            await session.execute(text("SELECT 1"))

    with pytest.raises(RecordsUnavailable):
        await broken()
    await asyncio.to_thread(mortal.start)
    assert not await answers(records)
    await records.close()


@on_postgresql
async def test_a_slow_statement_is_stopped_by_the_server(postgresql: Postgresql) -> None:
    """And the connection goes on."""
    records = connect(postgresql.url("migrated"), statement_timeout_seconds=0.2)

    async def slow() -> None:
        async with records.reading() as session:
            await session.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(RecordsUnavailable, match="57014"):
        await slow()
    assert not await answers(records)
    await records.close()


@on_postgresql
@pytest.mark.parametrize("wrong", ["postgres@127.0.0.1:{port}/nowhere", "nobody@127.0.0.1:{port}/migrated"])
async def test_a_wrong_database_or_user_is_unavailable(postgresql: Postgresql, wrong: str) -> None:
    """The error names what to check."""
    records = connect(f"postgresql+asyncpg://{wrong.format(port=postgresql.port)}")
    with pytest.raises(RecordsUnavailable) as refused:
        await answers(records)
    assert "RECORDS_URL" in str(refused.value.next_step)
    await records.close()


async def test_a_silent_server_is_given_up_after_the_connect_timeout() -> None:
    """It takes the connection and says nothing, as a firewall or a hung proxy does."""
    callers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    records = connect(f"postgresql+asyncpg://u@127.0.0.1:{port}/d", connect_timeout_seconds=0.3)
    started = time.monotonic()
    with pytest.raises(RecordsUnavailable):
        await answers(records)
    assert time.monotonic() - started < BOUND_SECONDS
    await records.close()
    silent.close()
    for caller in callers:
        caller.close()
    await silent.wait_closed()
    assert len(callers) == 1


async def test_an_exhausted_pool_is_unavailable_and_recovers(address: str) -> None:
    """Whoever waits longer than the pool's timeout is told so, and the next one is served."""
    records = connect(address, pool_size=1, pool_overflow=0, pool_timeout_seconds=0.2)
    async with records.reading() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(RecordsUnavailable):
            await answers(records)
    assert not await answers(records)
    await records.close()


async def test_a_locked_row_or_file_is_unavailable_after_the_lock_timeout(address: str) -> None:
    """A writer that holds its lock too long costs the next one its patience, and not more."""
    holder, waiter = connect(address), connect(address, lock_timeout_seconds=0.2)
    async with holder.transaction() as session:
        await predictions.insert_many(session, [prediction()], recorded_at=NOON)
        with pytest.raises(RecordsUnavailable):
            async with waiter.transaction() as other:
                await predictions.insert_many(other, [prediction()], recorded_at=NOON)
        assert not await answers(waiter), "reading never waits for a writer"
    assert await answers(waiter)
    await holder.close()
    await waiter.close()


async def test_readers_and_writers_of_sqlite_do_not_meet(tmp_path: Path, migrated_file: Path) -> None:
    """One that reads and then writes waits for its turn: no upgrade of a lock can fail."""
    path = Path(shutil.copy(migrated_file, tmp_path / "records.db"))
    records = connect(f"sqlite+aiosqlite:///{path}")

    async def read_then_write(number: int) -> None:
        async with records.transaction() as session:
            await predictions.by_request_id(session, "request-0")
            await asyncio.sleep(0.005)
            await predictions.insert_many(session, [prediction(number)], recorded_at=NOON)

    await asyncio.gather(*(read_then_write(number) for number in range(20)))
    async with records.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM prediction_logs")) == 20
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
    await records.close()


@pytest.mark.parametrize("kind", ["folder", "letter"])
async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, kind: str) -> None:
    """A folder, or another file by mistake; neither is touched."""
    path = tmp_path / "records.db"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("Dear friend, " * 100)
    records = connect(f"sqlite+aiosqlite:///{path}")
    with pytest.raises(RecordsUnavailable):
        await answers(records)
    with pytest.raises(RecordsUnavailable):
        await migrate.upgrade(records.engine)
    await records.close()
    assert path.is_dir() or path.read_text() == "Dear friend, " * 100


async def test_a_bug_stays_a_bug(records: Records) -> None:
    """A statement that no database understands is our fault, and is not dressed up as an outage."""
    with pytest.raises(Exception, match=r"(?i)syntax error") as bug:
        async with records.reading() as session:
            await session.execute(text("SELEKT 1"))
    assert not isinstance(bug.value, RecordsUnavailable)


def test_the_sqlite_here_knows_returning() -> None:
    """Claims and counts need UPDATE … RETURNING (SQLite 3.35)."""
    assert sqlite3.sqlite_version_info >= (3, 35)
