"""`sluice records`: bring the tables up to date, take them back, say where they are."""

import asyncio
from typing import Any, Final

import typer

from kit.errors import UsageError
from kit.terminal import print_json, print_table, say

records = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The platform's memory: seven tables, in SQLite under SLUICE_HOME or where RECORDS_URL says.",
)

JSON: Final = typer.Option(False, "--json", help="Print the result as JSON.")


@records.command()
def upgrade(
    revision: str = typer.Option("head", help="The revision to go up to."), as_json: bool = JSON
) -> None:
    """Make the tables, or bring them up to this version of Sluice. Safe to run twice, and at once.

    `sluice records upgrade`, or on a cluster
    `RECORDS_URL=postgresql://user:password@host/database sluice records upgrade`
    """
    _show(asyncio.run(_upgraded(revision)), as_json=as_json)


@records.command()
def downgrade(
    revision: str = typer.Argument(help="The revision to go back to; `base` drops every table."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask: what the dropped tables hold is lost."),
    as_json: bool = JSON,
) -> None:
    """Take the tables back to an older revision. What the dropped tables and columns hold is lost.

    `sluice records downgrade base --yes`
    """
    if not yes and not typer.confirm(
        f"Go back to {revision}, and lose what newer tables and columns hold?", err=True
    ):
        raise UsageError("Nothing was changed.", next_step="Confirm, or pass --yes.")
    _show(asyncio.run(_downgraded(revision)), as_json=as_json)


@records.command()
def status(as_json: bool = JSON) -> None:
    """Tell which database it is, where its schema stands, and how many rows each table holds.

    `sluice records status --json`
    """
    found = asyncio.run(_status())
    if as_json:
        print_json(found)
        return
    print_table(
        "Records",
        ("what", "value"),
        [
            ("database", found["url"]),
            ("dialect", found["dialect"]),
            ("revision", found["revision"] or "none: empty"),
            ("this installation", found["head"]),
            ("migrations to run", ", ".join(found["pending"]) or "none"),
            *((f"rows in {table}", f"{count:,}") for table, count in found["rows"].items()),
        ],
    )
    if found["pending"]:
        from records.errors import UPGRADE

        say(UPGRADE)


async def _upgraded(revision: str) -> dict[str, Any]:
    from records import migrate
    from records.engine import opened

    async with opened() as memory:
        before = await migrate.current(memory.engine)
        await migrate.upgrade(memory.engine, revision)
        return {"before": before, "revision": await migrate.current(memory.engine)}


async def _downgraded(revision: str) -> dict[str, Any]:
    from records import migrate
    from records.engine import opened

    async with opened() as memory:
        before = await migrate.current(memory.engine)
        await migrate.downgrade(memory.engine, revision)
        return {"before": before, "revision": await migrate.current(memory.engine)}


async def _status() -> dict[str, Any]:
    from records import migrate
    from records.engine import opened
    from records.repositories.contents import rows_per_table

    async with opened() as memory:
        revision = await migrate.current(memory.engine)
        pending = await migrate.pending(memory.engine)
        rows: dict[str, int] = {}
        if revision is not None:
            async with memory.reading() as session:
                rows = await rows_per_table(session)
        return {
            "dialect": memory.dialect,
            "url": memory.engine.url.set(query={}).render_as_string(hide_password=True),
            "revision": revision,
            "head": migrate.head(),
            "pending": pending,
            "rows": rows,
        }


def _show(moved: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(moved)
    elif moved["before"] == moved["revision"]:
        say(f"The records are at {moved['revision'] or 'base'} already.")
    else:
        say(f"The records went from {moved['before'] or 'base'} to {moved['revision'] or 'base'}.")
