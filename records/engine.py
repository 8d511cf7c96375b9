"""The connection to the records: pooled, checked before use, and the border where its errors become ours."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from kit.home import home
from records.columns import json_text
from records.errors import translated
from records.settings import SQLITE, RecordsSettings

_READING: Final = "records_reading"


class Records:
    """The platform's memory: one engine, and transactions on it.

    Make one for each process and close it at the end; `opened` does both.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._reading_engine = engine.execution_options(
            **{_READING: True, "postgresql_readonly": True}
            if self.dialect == "postgresql"
            else {_READING: True}
        )

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Yields a session that writes: committed at the end of the block, rolled back on an error.

        Keep other work out of the block: SQLite has one writer at a time, and every OSError in the block is
        taken for the database's.

        Raises:
            RecordsUnavailable: the database refuses, is silent, busy or full.
            SchemaBehind: a table or column is missing.
            RecordRejected: a value or a constraint does not allow the write.
        """
        with translated():
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Yields a session for reading only; it never waits for a writer. Raises as `transaction` does."""
        with translated():
            async with AsyncSession(self._reading_engine, expire_on_commit=False) as session:
                yield session

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


@asynccontextmanager
async def opened(settings: RecordsSettings | None = None) -> AsyncIterator[Records]:
    """Yields the records that `settings` (by default this process' own) name, closed at the end.

    Nothing is connected yet, and no file is made.
    """
    records = Records(build_engine(settings or RecordsSettings.load()))
    try:
        yield records
    finally:
        await records.close()


def address(settings: RecordsSettings) -> URL:
    """Returns the database's address; without a setting, the SQLite file under SLUICE_HOME."""
    if settings.url is None:
        return URL.create(SQLITE, database=str(home().records))
    return make_url(settings.url.get_secret_value())


def sqlite_file(url: URL) -> Path | None:
    """Returns the file of an SQLite address, or None for another database."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def build_engine(settings: RecordsSettings) -> AsyncEngine:
    """Returns the engine that `settings` describe; it connects when it is first used."""
    url = address(settings)
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_async_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_overflow,
        pool_timeout=settings.pool_timeout_seconds,
        pool_recycle=settings.pool_recycle_seconds,
        pool_pre_ping=settings.pool_pre_ping,
        json_serializer=json_text,
        hide_parameters=True,
        connect_args=_sqlite_arguments(settings) if is_sqlite else _postgresql_arguments(settings),
    )
    if is_sqlite:
        _prepare_sqlite(engine)
    return engine


def _sqlite_arguments(settings: RecordsSettings) -> dict[str, Any]:
    return {"timeout": settings.lock_timeout_seconds}  # sqlite3's name for the busy timeout


def _postgresql_arguments(settings: RecordsSettings) -> dict[str, Any]:
    return {
        "timeout": settings.connect_timeout_seconds,
        # The server stops a long statement itself; this ends the wait when the server is gone without a word.
        "command_timeout": settings.statement_timeout_seconds + 5,
        "server_settings": {
            "application_name": "sluice",
            "timezone": "UTC",
            "statement_timeout": _milliseconds(settings.statement_timeout_seconds),
            "lock_timeout": _milliseconds(settings.lock_timeout_seconds),
        },
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "do_connect")
    def try_file(_dialect: Any, _record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
        # aiosqlite leaves a thread behind when a file cannot be opened; that thread ends in a stack trace.
        sqlite3.connect(arguments[0]).close()

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        # With the driver's own BEGIN off, ours below decides what a transaction locks.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at the start: one that read first could not be upgraded after another wrote,
        # and would fail at once, whatever the busy timeout.
        reading = connection.get_execution_options().get(_READING, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
