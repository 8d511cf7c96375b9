"""Alembic's entry: runs the migrations on the connection it is handed, or on the one RECORDS_URL names.

`records.migrate` hands a connection over, inside a transaction and under a lock. Without one, a developer has
called `alembic` itself, to write a new revision (docs/records.md).
"""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection

from records.columns import CleanString, FiniteNumber, Numbers, UtcDateTime
from records.engine import opened
from records.tables import Row


def plain_type(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Returns the code of a column type in a new revision, or False for Alembic's own choice.

    A revision names SQLAlchemy's types and never ours: it must stay as it is when ours change.
    """
    if kind != "type":
        return False
    if isinstance(item, CleanString):
        return f"sa.String({item.length})"
    if isinstance(item, JSON):
        autogenerate.imports.add("from sqlalchemy.dialects.postgresql import JSONB")
        return 'sa.JSON().with_variant(JSONB(), "postgresql")'
    plain: dict[type, str] = {
        UtcDateTime: "sa.DateTime(timezone=True)",
        FiniteNumber: "sa.Double()",
        Numbers: "sa.LargeBinary()",
    }
    return plain.get(type(item), False)


def run_migrations(connection: Connection) -> None:
    """Runs what Alembic was asked for on `connection`."""
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        render_item=plain_type,
        render_as_batch=True,  # SQLite cannot alter most of a table in place
        transactional_ddl=True,  # true of SQLite too, now that its transactions are begun by us
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_migrations_by_settings() -> None:
    """Runs them on the database of this process' settings."""
    async with opened() as records, records.engine.begin() as connection:
        await connection.run_sync(run_migrations)


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    run_migrations(handed_over)
else:
    asyncio.run(run_migrations_by_settings())
