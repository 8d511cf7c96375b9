"""RECORDS_URL names a database that Sluice can use, and is never shown."""

import pytest

from kit.settings import SettingsError
from records.engine import address
from records.settings import RecordsSettings, normalised


def test_without_a_url_the_records_are_a_file_under_sluice_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """One machine needs no setting."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    assert str(address(RecordsSettings.load())) == f"sqlite+aiosqlite:///{tmp_path}/records.db"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("postgresql://u:p%40ss@host:5432/db", "postgresql+asyncpg://u:p%40ss@host:5432/db"),
        ("postgresql+asyncpg://u@host/db", "postgresql+asyncpg://u@host/db"),
        ("postgresql://u@host/db?sslmode=require", "postgresql+asyncpg://u@host/db?ssl=require"),
        ("postgresql://u@/db?host=/run/postgresql", "postgresql+asyncpg://u@/db?host=/run/postgresql"),
        ("sqlite+aiosqlite:////var/records.db", "sqlite+aiosqlite:////var/records.db"),
    ],
)
def test_a_plain_postgresql_url_gets_the_driver_that_sluice_uses(given: str, meant: str) -> None:
    """The URL that a cloud console shows works as it is, `sslmode` included."""
    assert normalised(given) == meant


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@host/db",
        "postgresql+psycopg://u:hunter2@host/db",
        "sqlite:///hunter2.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "hunter2",
    ],
)
def test_another_database_is_refused_with_the_two_that_are_known(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what to write, and does not repeat the secret."""
    monkeypatch.setenv("RECORDS_URL", url)
    with pytest.raises(SettingsError, match="sqlite\\+aiosqlite:///path") as refusal:
        RecordsSettings.load()
    assert "hunter2" not in refusal.value.message


def test_an_option_that_the_driver_does_not_know_is_refused() -> None:
    """Here, and not as a TypeError at the first connection."""
    with pytest.raises(ValueError, match="unknown option channel_binding; these are known: host, port"):
        normalised("postgresql://u@host/db?sslmode=require&channel_binding=require")


def test_a_setting_never_shows_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing the settings is safe."""
    monkeypatch.setenv("RECORDS_URL", "postgresql://u:hunter2@host/db")
    assert "hunter2" not in repr(RecordsSettings.load())
