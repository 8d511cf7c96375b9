"""Moves the schema of the records between revisions; the migrations travel inside the package.

The whole move is one transaction in both databases: it happens, or it does not. The transaction begins with
the database's own lock (PostgreSQL: an advisory lock; SQLite: BEGIN IMMEDIATE), so that of two processes
which upgrade at once one waits, and then finds nothing left to do.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records.engine import sqlite_file
from records.errors import UPGRADE, RecordsUnavailable, SchemaBehind, UnknownRevision, translated

MIGRATIONS: Final = Path(__file__).parent / "migrations"
WAIT_SECONDS: Final = 60
"""Longest wait for another process that migrates."""

_ADVISORY_LOCK: Final = 0x5_1C_E  # any number, as long as nothing else on this database uses it


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Brings the schema up to `revision`, and makes the SQLite file if there is none.

    Raises:
        UnknownRevision: there is no such revision, or the database is at one that this installation lacks.
        RecordsUnavailable: the database does not answer, or another process migrates for over a minute.
    """
    file = sqlite_file(engine.url)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise RecordsUnavailable(f"The folder {file.parent} cannot be made.") from exc
    await _move(engine, lambda config: command.upgrade(config, revision))


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Takes the schema back to `revision`, `base` for no tables at all. What the tables held is lost.

    Raises:
        UnknownRevision: there is no such revision, or the database is at one that this installation lacks.
        RecordsUnavailable: the database does not answer, or another process migrates for over a minute.
    """
    await _move(engine, lambda config: command.downgrade(config, revision))


async def current(engine: AsyncEngine) -> str | None:
    """Returns the revision the database is at, or None for an empty one; makes no SQLite file.

    Raises:
        RecordsUnavailable: the database does not answer.
    """
    file = sqlite_file(engine.url)
    if file is not None and not file.exists():
        return None
    with translated():
        async with engine.connect() as connection:
            return await connection.run_sync(_revision_of)


async def pending(engine: AsyncEngine) -> list[str]:
    """Returns the revisions that `upgrade` would run, oldest first.

    Raises:
        UnknownRevision: the database is at a revision that this installation lacks.
        RecordsUnavailable: the database does not answer.
    """
    at = await current(engine)
    with _known_revisions():
        steps = ScriptDirectory.from_config(configuration()).iterate_revisions("head", at or "base")
        return [step.revision for step in steps][::-1]


async def check_ready(engine: AsyncEngine) -> None:
    """Returns when the database answers and its schema is at this version's head.

    Raises:
        SchemaBehind: there are migrations to run; the message says which, and how.
        UnknownRevision: the database is at a revision that this installation lacks.
        RecordsUnavailable: the database does not answer.
    """
    at = await current(engine)
    if at == head():
        return
    steps = await pending(engine)
    where = f"at revision {at}" if at else "empty"
    raise SchemaBehind(
        f"The records database is {where}; {len(steps)} migration(s) are to run, up to {head()}.",
        next_step=UPGRADE,
    )


@cache
def head() -> str:
    """Returns the newest revision of this installation."""
    revision = ScriptDirectory.from_config(configuration()).get_current_head()
    if revision is None:
        raise RuntimeError(f"{MIGRATIONS} holds no migration: the installation is broken.")
    return revision


def configuration(connection: Connection | None = None) -> Config:
    """Returns Alembic's configuration for the packaged migrations, to run on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def _move(engine: AsyncEngine, step: Callable[[Config], object]) -> None:
    def run(connection: Connection) -> None:
        with _known_revisions():
            step(configuration(connection))

    with translated():
        async with _exclusive(engine) as connection:
            await connection.run_sync(run)


@asynccontextmanager
async def _exclusive(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yields a connection in a transaction that no other migration runs beside."""
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            async with _patient_without_foreign_keys(connection), connection.begin():
                yield connection
                if (await connection.exec_driver_sql("PRAGMA foreign_key_check")).first():
                    raise RuntimeError("The migration leaves rows whose foreign keys point nowhere.")
            return
        async with connection.begin():
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            yield connection


@asynccontextmanager
async def _patient_without_foreign_keys(connection: AsyncConnection) -> AsyncIterator[None]:
    """Waits longer for a lock, and lets batch mode drop and rename tables, which foreign keys would follow.

    Both pragmas work only outside of a transaction, hence the driver's own connection.
    """
    raw: Any = (await connection.get_raw_connection()).driver_connection
    ((former_timeout,),) = await raw.execute_fetchall("PRAGMA busy_timeout")
    await raw.execute(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}")
    await raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        await raw.execute("PRAGMA foreign_keys=ON")
        await raw.execute(f"PRAGMA busy_timeout={former_timeout}")


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


class _known_revisions:  # noqa: N801 - reads as a with-statement
    """Turns Alembic's complaint about a revision into ours."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _stack: object) -> None:
        if isinstance(error, (CommandError, ResolutionError)):
            raise UnknownRevision(
                "A revision of the records schema is unknown to this installation.",
                next_step="`sluice records status` shows where the database is; this installation ends at "
                f"{head()}. If the database is newer, install the Sluice that migrated it.",
            ) from error
