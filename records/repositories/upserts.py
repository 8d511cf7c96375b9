"""INSERT … ON CONFLICT, which both databases speak and SQLAlchemy spells for each."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from records.tables.registry import Row


def upsert(session: AsyncSession, table: type[Row]) -> Any:
    """Returns an INSERT into `table` that takes `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
