"""A lock by name for the length of a transaction: for what no constraint of a table can hold."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def hold(session: AsyncSession, name: str) -> None:
    """Waits until no other transaction holds `name`, and holds it until this one ends.

    PostgreSQL: an advisory lock. SQLite has one writer at a time, so the transaction itself is the lock.

    Raises:
        RecordsUnavailable: another transaction held it for longer than `lock_timeout_seconds`.
    """
    if session.get_bind().dialect.name == "postgresql":
        statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        await session.execute(statement, {"name": name})
