"""`sluice records` moves the schema, tells where it stands, and never shows a password."""

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from records import migrate
from records.postgresql import Postgresql
from tests.records.conftest import on_postgresql


@pytest.fixture(autouse=True)
def fresh_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing was made yet."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RECORDS_URL", raising=False)
    return tmp_path / "home"


def run(*arguments: str) -> int:
    """Returns the exit code of `sluice records …`."""
    with pytest.raises(SystemExit) as left:
        main(["records", *arguments])
    return int(left.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Returns what `sluice records … --json` printed."""
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_upgrade_status_downgrade(capsys: pytest.CaptureFixture[str], fresh_home: Path) -> None:
    """From nothing to head and back; asking changes nothing."""
    before = answer(capsys, "status")
    assert (before["revision"], before["pending"][-1], before["rows"]) == (None, migrate.head(), {})
    assert not fresh_home.exists()
    assert answer(capsys, "upgrade") == {"before": None, "revision": migrate.head()}
    assert answer(capsys, "upgrade") == {"before": migrate.head(), "revision": migrate.head()}
    after = answer(capsys, "status")
    assert (after["dialect"], after["revision"], after["pending"]) == ("sqlite", migrate.head(), [])
    assert len(after["rows"]) == 7
    assert set(after["rows"].values()) == {0}
    assert answer(capsys, "downgrade", "base", "--yes") == {"before": migrate.head(), "revision": None}


def test_people_get_a_table_and_a_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    """What is behind says which command brings it forward."""
    assert run("status") == 0
    shown = capsys.readouterr()
    assert "none: empty" in shown.out
    assert "sluice records upgrade" in shown.err
    assert run("upgrade") == 0
    assert f"to {migrate.head()}" in capsys.readouterr().err
    assert run("upgrade") == 0
    assert "already" in capsys.readouterr().err


def test_a_downgrade_without_a_yes_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fresh_home: Path
) -> None:
    """`n` is wrong usage, and the tables are there still."""
    assert run("upgrade") == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("downgrade", "base") == 2
    assert "--yes" in capsys.readouterr().err
    connection = sqlite3.connect(fresh_home / "records.db")
    assert connection.execute("SELECT count(*) FROM feedback").fetchall() == [(0,)]
    connection.close()


def test_an_unknown_revision_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with what to do next."""
    assert run("upgrade", "--revision", "no-such-thing") == 2
    assert "sluice records status" in capsys.readouterr().err


def test_a_database_that_is_down_is_exit_1_without_its_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Port 1 answers nobody."""
    monkeypatch.setenv("RECORDS_URL", "postgresql://u:hunter2@127.0.0.1:1/db")
    assert run("status") == 1
    shown = capsys.readouterr()
    assert "RECORDS_URL" in shown.err
    assert "hunter2" not in shown.out + shown.err


@on_postgresql
def test_status_of_postgresql_shows_no_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, postgresql: Postgresql
) -> None:
    """Neither the one before the @ nor the one among the options."""
    address = postgresql.url("migrated").replace("postgres@", "postgres:hunter2@")
    monkeypatch.setenv("RECORDS_URL", address)
    found = answer(capsys, "status")
    assert found["dialect"] == "postgresql"
    assert found["revision"] == migrate.head()
    assert "hunter2" not in json.dumps(found)
    assert "***" in found["url"]
