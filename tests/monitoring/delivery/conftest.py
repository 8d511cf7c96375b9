"""Records in SQLite, and where two senders meet also in a real PostgreSQL; a machine; a receiver."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.home import Home
from records.engine import Records
from records.settings import SQLITE
from tests.monitoring.delivery.authority import Authority
from tests.monitoring.delivery.receiver import Receiver, running
from tests.records.conftest import address, connect, migrated_file, postgresql, records

__all__ = ["address", "migrated_file", "postgresql", "records"]


@pytest.fixture
def file_address(migrated_file: Path, tmp_path: Path) -> str:
    """The address of a migrated SQLite database of this test, without a row."""
    return f"{SQLITE}:///{shutil.copy(migrated_file, tmp_path / 'memory.db')}"


@pytest.fixture
async def memory(file_address: str) -> AsyncIterator[Records]:
    """Records in SQLite, without a row."""
    found = connect(file_address)
    yield found
    await found.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A machine where no console runs."""
    return Home(tmp_path)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes what is sent and answers 200."""
    async with running() as found:
        yield found


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority for certificates that nobody else trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))
