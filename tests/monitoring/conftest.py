"""A machine with a bundle and migrated records, for everything that monitors."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.tensors import SPAM_DETECTOR
from kit.home import Home
from monitoring.drift.reference import Reference, reference_of
from monitoring.settings import MonitoringSettings
from records import migrate
from records.engine import Records, build_engine
from records.settings import SQLITE, RecordsSettings
from tests.monitoring.bundles import mail_bundle


def connect(path: Path) -> Records:
    """Returns the records in the SQLite file `path`; the caller closes them."""
    return Records(build_engine(RecordsSettings.load(url=SecretStr(f"{SQLITE}:///{path}"))))


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to be copied: version 1 of the mail model, and records without a row."""
    home = Home(tmp_path_factory.mktemp("machine"))
    mail_bundle(home.bundles / SPAM_DETECTOR / "1")

    async def migrated() -> None:
        memory = connect(home.records)
        await migrate.upgrade(memory.engine)
        await memory.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrated()).result()
    return home.root


@pytest.fixture
def home(machine: Path, tmp_path: Path) -> Home:
    """A machine of one's own."""
    shutil.copytree(machine, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def reference(home: Home) -> Reference:
    """The reference of version 1."""
    from kit.bundle import load

    return reference_of(load(home.bundles / SPAM_DETECTOR / "1"))


@pytest.fixture
async def records(home: Home) -> AsyncIterator[Records]:
    """The records of the machine."""
    memory = connect(home.records)
    yield memory
    await memory.close()


@pytest.fixture
def settings() -> MonitoringSettings:
    """As strict as by default, with as few deals as that needs, and without pages, which are slow to draw."""
    return MonitoringSettings.load(drift_deals=700, report_when="never")
