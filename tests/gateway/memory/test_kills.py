"""Processes and databases are killed under load and rows counted: none twice, none lost that was kept."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from records.postgresql import Postgresql, temporary
from tests.gateway.memory.answers import answered, ids, remembering, sqlite, until, written
from tests.records.conftest import migrated

pytestmark = pytest.mark.xdist_group("postgresql")

REPOSITORY = Path(__file__).parents[3]
ENOUGH = 200


class Answering:
    """A process that answers, and what it told of it."""

    def __init__(self, address: str, home: Path, fsync: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.memory.answering", address, str(home), fsync],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.recorded = self.kept = 0

    def hears(self, *, kept: int = 0, more: int = 0) -> None:
        """Returns when it has kept so many rows, and has recorded so many more than now."""
        goal = self.recorded + more
        while self.kept < kept or self.recorded < goal:
            self._hear()

    def ended(self, how: signal.Signals) -> int:
        """Ends it, and returns how it ended; what it told last is heard."""
        self.process.send_signal(how)
        while self._hear(last=True):
            pass
        return self.process.wait(60)

    def _hear(self, *, last: bool = False) -> bool:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text.endswith("\n"):
            assert last, "it ended before its time"
            return False
        told = json.loads(text)
        self.recorded, self.kept = told["recorded"], told["kept"]
        return True


@contextmanager
def answering(address: str, home: Path, fsync: str) -> Iterator[Answering]:
    """Yields a process that answers; it is ended at the end."""
    child = Answering(address, home, fsync)
    try:
        yield child
    finally:
        child.process.kill()
        child.process.wait()
        if child.process.stdout is not None:
            child.process.stdout.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """A PostgreSQL to be killed; each test leaves it running."""
    with temporary() as mortal:
        migrated(mortal.url())
        yield mortal


@pytest.fixture
def postgresql(server: Postgresql) -> Iterator[Postgresql]:
    """The server, without a row."""
    yield server
    server.execute("postgres", "TRUNCATE prediction_logs")


async def taken_over(home: Path, address: str) -> list[str]:
    """Returns what is in the records after a new process has taken over what a dead one left."""
    async with remembering(home, address) as memory:
        await until(lambda: memory.state().spool_bytes == 0)
    assert list((home / "gateway" / "spool").rglob("*.segment")) == []
    return await written(address)


async def test_sigterm_loses_nothing(tmp_path: Path, address: str) -> None:
    """With the database there: everything is in it, and nothing on the disk."""
    with answering(address, tmp_path, "interval") as child:
        child.hears(kept=ENOUGH)
        assert child.ended(signal.SIGTERM) == 0
    assert child.kept == child.recorded
    assert await written(address) == ids(child.recorded)
    assert list((tmp_path / "gateway" / "spool").rglob("*.segment")) == []


async def test_sigterm_while_the_database_is_down_loses_nothing(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    """Everything is on the disk; the next process writes it in its order, each row once."""
    with answering(postgresql.url(), tmp_path, "never") as child:
        child.hears(kept=ENOUGH)
        postgresql.stop(signal.SIGQUIT)
        child.hears(more=ENOUGH)
        assert child.ended(signal.SIGTERM) == 0
    postgresql.start()
    assert await taken_over(tmp_path, postgresql.url()) == ids(child.recorded)


@pytest.mark.parametrize("fsync", ["always", "interval"])
async def test_sigkill_loses_the_newest_rows_at_most(tmp_path: Path, address: str, fsync: str) -> None:
    """What was kept when it last told is there, once, and what is missing is the end of what it recorded."""
    with answering(address, tmp_path, fsync) as child:
        child.hears(kept=ENOUGH)
        assert child.ended(signal.SIGKILL) == -signal.SIGKILL
    found = await taken_over(tmp_path, address)
    assert child.kept <= len(found)
    assert found == ids(len(found))


async def test_sigkill_while_the_database_is_down_loses_the_newest_rows_at_most(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    """The rows are in the spool of the dead process."""
    with answering(postgresql.url(), tmp_path, "interval") as child:
        child.hears(kept=ENOUGH)
        postgresql.stop(signal.SIGQUIT)
        child.hears(more=ENOUGH)
        child.hears(kept=child.recorded)
        assert child.ended(signal.SIGKILL) == -signal.SIGKILL
    postgresql.start()
    found = await taken_over(tmp_path, postgresql.url())
    assert child.kept <= len(found)
    assert found == ids(len(found))


@pytest.mark.parametrize("how", ["stopped", "crashed", "killed"])
async def test_a_database_that_dies_under_load_costs_no_row(
    tmp_path: Path, postgresql: Postgresql, how: str
) -> None:
    """In order, by a crash, and by SIGKILL of each of its connections in the middle of what it does."""
    recorded = 0
    async with remembering(tmp_path, postgresql.url(), records_batch=50) as memory:

        async def load(count: int) -> None:
            nonlocal recorded
            for _ in range(count):
                memory.record(answered(recorded))
                recorded += 1
                if recorded % 10 == 0:
                    await asyncio.sleep(0.001)

        await load(300)
        if how == "killed":
            for _ in range(3):
                for backend in backends(postgresql):
                    os.kill(backend, signal.SIGKILL)
                await load(100)
        else:
            await asyncio.to_thread(postgresql.stop, signal.SIGINT if how == "stopped" else signal.SIGQUIT)
            await load(300)
            await until(lambda: memory.kept == recorded)
            assert memory.state().degraded
            await asyncio.to_thread(postgresql.start)
        await load(300)
        await until(lambda: memory.kept == recorded and memory.state().spool_bytes == 0)
    found = await written(postgresql.url())
    assert sorted(found) == ids(recorded)


async def test_a_database_that_stands_still_costs_no_row_and_no_order(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    """Frozen in the middle: rows go to the spool, and the write that waited goes on; none is there twice."""
    async with remembering(tmp_path, postgresql.url()) as memory:
        for number in range(50):
            memory.record(answered(number))
        await until(lambda: memory.kept == 50)
        frozen = backends(postgresql)
        assert frozen
        for backend in frozen:
            os.kill(backend, signal.SIGSTOP)
        try:
            for number in range(50, 150):
                memory.record(answered(number))
            await until(lambda: memory.kept == 150)
            assert memory.state().spool_bytes > 0
        finally:
            for backend in frozen:
                os.kill(backend, signal.SIGCONT)
        await until(lambda: memory.state().spool_bytes == 0)
    assert await written(postgresql.url()) == ids(150)


def backends(server: Postgresql) -> list[int]:
    """Returns the processes of the server that serve connections of ours."""
    process = server._process
    assert process is not None
    return [
        child.pid
        for child in psutil.Process(process.pid).children()
        if "postgres postgres" in " ".join(child.cmdline())
    ]


async def test_a_folder_of_a_dead_process_is_taken_over_while_another_one_records(
    tmp_path: Path, address: str
) -> None:
    """Two processes on one machine, one of which is killed: the other one keeps what is its own."""
    missing = sqlite(tmp_path / "missing" / "records.db")
    with answering(missing, tmp_path, "interval") as dead, answering(missing, tmp_path, "interval") as alive:
        for child in (dead, alive):
            child.hears(kept=ENOUGH)
        assert dead.ended(signal.SIGKILL) == -signal.SIGKILL
        folders = {path.parent for path in (tmp_path / "gateway" / "spool").rglob("*.segment")}
        assert len(folders) == 2
        async with remembering(tmp_path, address) as memory:
            await until(lambda: memory.state().spool_bytes == 0)
        found = await written(address)
        assert dead.kept <= len(found)
        assert found == ids(len(found))
        left = {path.parent for path in (tmp_path / "gateway" / "spool").rglob("*.segment")}
        assert len(left) == 1
        assert left < folders
        assert alive.ended(signal.SIGTERM) == 0
