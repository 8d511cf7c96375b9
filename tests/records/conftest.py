"""Every test that asks for `records` runs twice: on SQLite, and on a real PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from pydantic import SecretStr

from records import migrate
from records.engine import Records, build_engine
from records.postgresql import Postgresql, temporary
from records.settings import SQLITE, RecordsSettings
from records.tables import Row

on_postgresql = pytest.mark.xdist_group("postgresql")  # one server serves them all
DATABASES = ("sqlite", pytest.param("postgresql", marks=on_postgresql))
_numbers = count()


def connect(address: str, **settings: float | bool) -> Records:
    """Returns the records at `address`; the caller closes them."""
    return Records(build_engine(RecordsSettings.load(url=SecretStr(address), **settings)))


def migrated(address: str) -> None:
    """Upgrades the database at `address`, in a thread: the caller's own loop may be about to run."""

    async def run() -> None:
        memory = connect(address)
        await migrate.upgrade(memory.engine)
        await memory.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A server that holds a migrated database `migrated`, without a row between tests."""
    with temporary() as server:
        migrated(server.create_database("migrated"))
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("records") / "migrated.db"
    migrated(f"{SQLITE}:///{path}")
    return path


@pytest.fixture(params=DATABASES)
def empty_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without a table."""
    if request.param == "sqlite":
        yield f"{SQLITE}:///{tmp_path}/records.db"
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    name = f"empty_{next(_numbers)}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database without a row; leave its schema as it is."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "records.db")
        yield f"{SQLITE}:///{tmp_path}/records.db"
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    yield server.url("migrated")
    # As a replica, for which no trigger guards the ledger. A database for each test would take far longer.
    deletions = (str(table.delete()) for table in Row.metadata.sorted_tables)
    server.execute("migrated", "; ".join(("SET session_replication_role = replica", *deletions)))


@pytest.fixture
async def records(address: str) -> AsyncIterator[Records]:
    """The migrated records, without a row."""
    memory = connect(address)
    yield memory
    await memory.close()


@pytest.fixture
async def empty_records(empty_address: str) -> AsyncIterator[Records]:
    """Records without a table."""
    memory = connect(empty_address)
    yield memory
    await memory.close()
