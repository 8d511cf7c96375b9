"""Tests that ask for `book` run twice, on SQLite and on a real PostgreSQL."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kit.home import Home
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.postgresql import Postgresql, temporary
from records.settings import SQLITE
from records.tables import Row
from tests.monitoring.alerts.story import Book, channels
from tests.records.conftest import connect, migrated

on_postgresql = pytest.mark.xdist_group("monitoring-alerts")  # one server serves them all
DATABASES = ("sqlite", pytest.param("postgresql", marks=on_postgresql))


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    """A PostgreSQL that holds a migrated database `alerts`, without a row between tests."""
    with temporary() as running:
        migrated(running.create_database("alerts"))
        yield running


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest, machine: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database without a row."""
    if request.param == "sqlite":
        path = shutil.copy(Home(machine).records, tmp_path / "alerts.db")
        yield f"{SQLITE}:///{path}"
        return
    server: Postgresql = request.getfixturevalue("server")
    yield server.url("alerts")
    # As a replica, for which no trigger guards the ledger. A database for each test would take far longer.
    deletions = (str(table.delete()) for table in Row.metadata.sorted_tables)
    server.execute("alerts", "; ".join(("SET session_replication_role = replica", *deletions)))


@pytest.fixture
async def memory(address: str) -> AsyncIterator[Records]:
    """The records at `address`."""
    opened = connect(address)
    yield opened
    await opened.close()


@pytest.fixture
def told(settings: MonitoringSettings) -> MonitoringSettings:
    """Settings with a channel for everything, and one for what is critical."""
    return settings.model_copy(update={"channels": channels("all", critical="on-call")})


@pytest.fixture
def book(memory: Records, told: MonitoringSettings, tmp_path: Path) -> Book:
    """The book of alerts, with its clock at noon."""
    return Book(memory, told, Home(tmp_path / "home"))
