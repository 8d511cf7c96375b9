"""Settings of the platform's memory (prefix `RECORDS_`)."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator

from kit.settings import Settings, settings_config

SQLITE: Final = "sqlite+aiosqlite"
POSTGRESQL: Final = "postgresql+asyncpg"
_OPTIONS: Final = frozenset({"ssl", "host", "port", "prepared_statement_cache_size"})
"""What an address may say after its `?`; asyncpg takes no other of libpq's options."""
_ACCEPTED = f"{SQLITE}:///path/to/records.db or {POSTGRESQL}://user:password@host:5432/database"


class RecordsSettings(Settings):
    """Where the records live, and how long to wait for them."""

    owner = "records"
    model_config = settings_config("RECORDS_")

    url: SecretStr | None = None
    """The database, as `sqlite+aiosqlite:///path` or `postgresql+asyncpg://user:password@host/database`;
    unset means SQLite at `records.db` under SLUICE_HOME. Several machines need PostgreSQL."""

    pool_size: int = Field(default=5, ge=1, le=100)
    """Connections that one process keeps open."""

    pool_overflow: int = Field(default=5, ge=0, le=100)
    """Connections that one process may open beyond `pool_size` while it is busy."""

    pool_timeout_seconds: float = Field(default=5, gt=0, le=60)
    """Longest wait for a free connection of the pool."""

    pool_recycle_seconds: int = Field(default=1800, ge=10, le=86_400)
    """Age at which a connection is replaced; keep it below the idle limit of a proxy in between."""

    pool_pre_ping: bool = True
    """Ask a pooled connection for a sign of life before use, so that a restarted database goes unnoticed."""

    connect_timeout_seconds: float = Field(default=5, gt=0, le=60)
    """Longest wait for a new PostgreSQL connection."""

    statement_timeout_seconds: float = Field(default=30, ge=0.1, le=3600)
    """Longest a PostgreSQL statement may run; migrations are exempt."""

    lock_timeout_seconds: float = Field(default=5, ge=0.1, le=60)
    """Longest wait for another writer: SQLite's busy timeout, PostgreSQL's lock timeout."""

    @field_validator("url")
    @classmethod
    def _normalise(cls, url: SecretStr | None) -> SecretStr | None:
        return None if url is None else SecretStr(normalised(url.get_secret_value()))


def normalised(url: str) -> str:
    """Returns `url` with the driver that Sluice uses: `postgresql://` becomes `postgresql+asyncpg://`.

    libpq's `sslmode` becomes asyncpg's `ssl`, which takes the same words.

    Raises:
        ValueError: another database or driver, SQLite without a file, an unknown option; the message holds
            no secret of `url`.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"this is not a database address; write {_ACCEPTED}")
    if scheme == "postgresql":
        scheme = POSTGRESQL
    if scheme == SQLITE:
        if rest.strip("/") in {"", ":memory:"}:
            raise ValueError(f"SQLite needs a file, for every connection to see the same rows: {_ACCEPTED}")
        return f"{scheme}://{rest}"
    if scheme != POSTGRESQL:
        raise ValueError(f"{scheme!r} is not a database that Sluice can use; write {_ACCEPTED}")
    parts = urlsplit(f"//{rest}")
    query = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    unknown = sorted({name for name, _ in query} - _OPTIONS)
    if unknown:
        raise ValueError(
            f"unknown option {', '.join(unknown)}; these are known: {', '.join(sorted(_OPTIONS))}"
        )
    return f"{scheme}:{urlunsplit(parts._replace(query=urlencode(query, safe='/')))}"
