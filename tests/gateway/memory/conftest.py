"""A migrated SQLite file for each test."""

import shutil
from pathlib import Path

import pytest

from tests.gateway.memory.answers import sqlite
from tests.records.conftest import migrated


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("memory") / "migrated.db"
    migrated(sqlite(path))
    return path


@pytest.fixture
def address(tmp_path: Path, migrated_file: Path) -> str:
    """The address of a migrated SQLite database of this test, without a row."""
    return sqlite(Path(shutil.copy(migrated_file, tmp_path / "records.db")))
