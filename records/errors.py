"""The errors of the memory, and the one place where a database's own errors become ours.

Leaves of the tree in `kit.errors`::

    CallerError
    ├── RecordRejected       422  a value that no table holds: naive time, NaN, too long, a constraint
    ├── RecordMissing        404  no row has this id, or it is not in a state that allows the change
    ├── DeliveryOvertaken    409  a message that is out of date: its channel knows a later change
    └── UsageError
        └── UnknownRevision  400  a schema revision that this installation does not know
    OperationalError
    ├── RecordsUnavailable   503  the database refuses, is silent, busy or full
    └── SchemaBehind         503  the tables are older than the code: `sluice records upgrade`
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from sqlalchemy.exc import DBAPIError, DontWrapMixin, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kit.errors import CallerError, OperationalError, SluiceError, UsageError

UPGRADE: Final = "Run `sluice records upgrade`."
_CHECK = (
    "Check that the database runs and that RECORDS_URL names it (`sluice records status`), then try again."
)

# SQLSTATE classes and codes: https://www.postgresql.org/docs/16/errcodes-appendix.html
_PG_UNAVAILABLE = ("08", "28", "3D", "40", "53", "55P03", "57", "58")
_PG_BEHIND = ("3F", "42P01", "42703")
_PG_REJECTED = ("22", "23")
# Primary result codes: https://www.sqlite.org/rescode.html
_SQLITE_UNAVAILABLE = frozenset({"BUSY", "LOCKED", "CANTOPEN", "IOERR", "FULL", "READONLY", "PERM", "NOTADB"})
_SQLITE_REJECTED = frozenset({"CONSTRAINT", "MISMATCH", "TOOBIG"})


class RecordsUnavailable(OperationalError):
    """The database refuses connections, does not answer in time, is busy or full."""

    code = "records_unavailable"
    title = "The records database is unavailable"


class SchemaBehind(OperationalError):
    """The tables are missing or older than this code."""

    code = "records_schema_behind"
    title = "The records database is not at this version's schema"


class UnknownRevision(UsageError):
    """A schema revision that this installation has no migration for."""

    code = "records_unknown_revision"
    title = "Unknown schema revision"


class RecordRejected(CallerError, DontWrapMixin):
    """A value that no table may hold; nothing of its transaction was written."""

    status: ClassVar[int] = 422
    code = "record_rejected"
    title = "The record cannot be stored"


class RecordMissing(CallerError):
    """No row has this id, or it is in a state that does not allow the change."""

    status: ClassVar[int] = 404
    code = "record_missing"
    title = "No such record"


class DeliveryOvertaken(CallerError):
    """A message that says less than its channel knows by now."""

    status: ClassVar[int] = 409
    code = "delivery_overtaken"
    title = "The message is out of date"


def translation(error: Exception) -> SluiceError | None:
    """Returns what `error` means to a caller of `records`, or None if it is a bug and must stay as it is."""
    if isinstance(error, (PoolTimeoutError, OSError)):
        # OSError covers refused and reset connections, unknown hosts, and asyncpg's TimeoutError.
        return RecordsUnavailable(
            "The records database cannot be reached, or did not answer in time.", next_step=_CHECK
        )
    if not isinstance(error, DBAPIError):
        return None
    if error.connection_invalidated:
        return RecordsUnavailable("The connection to the records database broke.", next_step=_CHECK)
    origin = error.driver_exception
    state = getattr(origin, "sqlstate", None)
    if state is not None:
        return _from_sqlstate(state, getattr(origin, "constraint_name", None))
    name = getattr(origin, "sqlite_errorname", None)
    return None if name is None else _from_sqlite(name, str(origin))


@contextmanager
def translated() -> Iterator[None]:
    """Turns the database errors of its block into the errors above; every other one passes unchanged."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        ours = translation(error)
        if ours is None:
            raise
        raise ours from error


def _from_sqlstate(state: str, constraint: str | None) -> SluiceError | None:
    if state.startswith(_PG_UNAVAILABLE):
        return RecordsUnavailable(f"PostgreSQL cannot serve this now (SQLSTATE {state}).", next_step=_CHECK)
    if state.startswith(_PG_BEHIND):
        return SchemaBehind("A table or column of the records is missing.", next_step=UPGRADE)
    if state.startswith(_PG_REJECTED):
        return _rejected(constraint or f"SQLSTATE {state}")
    return None


def _from_sqlite(name: str, words: str) -> SluiceError | None:
    primary = name.removeprefix("SQLITE_").partition("_")[0]
    if primary in _SQLITE_UNAVAILABLE:
        return RecordsUnavailable(f"SQLite cannot serve this now ({name}).", next_step=_CHECK)
    if primary in _SQLITE_REJECTED:
        # SQLite names the constraint, or the columns of a unique one; neither holds a value.
        return _rejected(words.rpartition(": ")[2])
    if words.startswith(("no such table", "no such column")) or " has no column named " in words:
        return SchemaBehind("A table or column of the records is missing.", next_step=UPGRADE)
    return None


def _rejected(rule: str) -> RecordRejected:
    return RecordRejected(
        f"The database refuses this record ({rule}).",
        next_step="Correct the value; docs/records.md lists the rules of each table.",
    )
