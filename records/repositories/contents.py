"""How much the memory holds."""

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from records.tables import Row


async def rows_per_table(session: AsyncSession) -> dict[str, int]:
    """Returns the row count of each of the seven tables that exists, by name.

    It counts, which takes a second or so for a million rows; it is for a person who asks.
    """
    connection = await session.connection()
    present = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    counts = {}
    for table in sorted(Row.metadata.sorted_tables, key=lambda table: table.name):
        if table.name in present:
            counts[table.name] = await session.scalar(select(func.count()).select_from(table)) or 0
    return counts
