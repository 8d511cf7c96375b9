"""The migrations make the very tables that the models describe, in both databases."""

import asyncio
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from contracts.environments import Environment
from records import migrate
from records.engine import Records
from records.errors import RecordsUnavailable, SchemaBehind, UnknownRevision
from records.tables import Row
from records.tables.dataset_metrics import SOURCES
from tests.records.conftest import connect

TABLES = {table.name for table in Row.metadata.sorted_tables}

_POSTGRESQL_FACTS = """
    SELECT 'constraint', conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION SELECT 'column', table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
        || coalesce(character_maximum_length::text, '')
    FROM information_schema.columns WHERE table_schema = 'public'
"""
_SQLITE_FACTS = "SELECT type, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', 'index')"


def schema(connection: Connection) -> set[tuple[str, str]]:
    """Returns every fact the database itself tells of its tables, in comparable words."""
    postgresql = connection.dialect.name == "postgresql"
    rows = connection.execute(text(_POSTGRESQL_FACTS if postgresql else _SQLITE_FACTS)).all()
    facts: set[tuple[str, str]] = set()
    for kind, words in rows:
        if "alembic_version" in words:
            continue
        # SQLite keeps the text of CREATE TABLE: its lines are compared, and not their order.
        lines = re.split(r",\s*\n|\n", words) if kind == "table" and not postgresql else [words]
        table = lines[0]
        facts |= {(table, re.sub(r"\s+", " ", line).strip(" ,")) for line in lines}
    return facts


async def test_models_and_migrations_agree(records: Records) -> None:
    """Alembic would write no further migration."""

    def difference(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Row.metadata))

    async with records.engine.connect() as connection:
        assert await connection.run_sync(difference) == []


async def test_a_migrated_database_equals_one_made_from_the_models(empty_records: Records) -> None:
    """Down to check constraints and the conditions of partial indexes, which Alembic does not compare."""
    engine = empty_records.engine
    await migrate.upgrade(engine)
    async with engine.connect() as connection:
        migrated = await connection.run_sync(schema)
    await migrate.downgrade(engine, "base")
    async with engine.begin() as connection:
        await connection.run_sync(Row.metadata.create_all)
        modelled = await connection.run_sync(schema)
    assert migrated == modelled
    assert len(modelled) > 100


async def test_up_from_empty_down_to_nothing_and_up_again(empty_records: Records) -> None:
    """A downgrade leaves nothing that would stand in the way of the next upgrade."""
    engine = empty_records.engine
    assert await migrate.current(engine) is None
    assert (await migrate.pending(engine))[-1] == migrate.head()
    for _ in range(2):
        await migrate.upgrade(engine)
        await migrate.check_ready(engine)
        assert await migrate.pending(engine) == []
        async with engine.connect() as connection:
            names = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
        assert names >= TABLES
        await migrate.downgrade(engine, "base")
        async with engine.connect() as connection:
            names = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
            if empty_records.dialect == "postgresql":
                functions = await connection.scalar(
                    text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
                )
                assert functions == 0
        assert names <= {"alembic_version"}


async def test_a_failed_upgrade_leaves_nothing_behind(empty_records: Records) -> None:
    """A table in the way stops the migration at its last step, and the steps before it are undone."""
    engine = empty_records.engine
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE webhook_deliveries (mine INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        await migrate.upgrade(engine)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert names == ["webhook_deliveries"]
    assert await migrate.current(engine) is None


async def test_a_database_behind_tells_the_command_to_run(empty_records: Records) -> None:
    """Both the readiness check and a query that meets no table say what to do."""
    with pytest.raises(SchemaBehind, match="empty") as behind:
        await migrate.check_ready(empty_records.engine)
    assert behind.value.next_step == "Run `sluice records upgrade`."
    with pytest.raises(SchemaBehind) as behind:
        async with empty_records.reading() as session:
            await session.execute(text("SELECT id FROM feedback"))
    assert behind.value.next_step == "Run `sluice records upgrade`."


async def test_an_unknown_revision_says_what_to_do(empty_records: Records) -> None:
    """Asked for by mistake, or left in the database by a newer Sluice."""
    engine = empty_records.engine
    with pytest.raises(UnknownRevision):
        await migrate.upgrade(engine, "no-such-revision")
    await migrate.upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    for asked in (migrate.upgrade, migrate.pending, migrate.check_ready):
        with pytest.raises(UnknownRevision) as unknown:
            await asked(engine)
        assert "install the Sluice that migrated it" in str(unknown.value.next_step)


async def test_two_upgrades_at_once_leave_one_schema(empty_address: str) -> None:
    """Three processes start together; each ends well, and the schema is at head."""
    program = (
        "import asyncio, sys\n"
        "from records import migrate\n"
        "from records.engine import opened\n"
        "async def run():\n"
        "    async with opened() as records:\n"
        "        sys.stdin.read(1)\n"
        "        await migrate.upgrade(records.engine)\n"
        "asyncio.run(run())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", program),
            env={"RECORDS_URL": empty_address, "PATH": ""},
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    ended = await asyncio.gather(*(process.communicate(b"g") for process in processes))
    assert [(process.returncode, errors) for process, (_, errors) in zip(processes, ended, strict=True)] == [
        (0, b"")
    ] * 3
    memory = connect(empty_address)
    await migrate.check_ready(memory.engine)
    await memory.close()


@pytest.mark.parametrize(
    "table", ["dataset_metrics", "model_deployments", "monitoring_alerts", "prediction_logs"]
)
async def test_every_environment_column_takes_the_contract_and_nothing_else(
    records: Records, table: str
) -> None:
    """The words of the contract stand in the database's own constraint."""
    column = "source" if table == "dataset_metrics" else "environment"

    def constraints(connection: Connection) -> dict[Any, str]:
        found = inspect(connection).get_check_constraints(table)
        return {constraint["name"]: constraint["sqltext"] for constraint in found}

    async with records.engine.connect() as connection:
        rule = (await connection.run_sync(constraints))[f"ck_{table}_{column}"]
    allowed = SOURCES if column == "source" else tuple(Environment)
    assert set(re.findall(r"'([^']*)'", rule)) == {str(word) for word in allowed}


def test_alembic_itself_finds_nothing_to_write(address: str) -> None:
    """The way in for developers: `alembic check` on the database of RECORDS_URL."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", migrate.MIGRATIONS / "alembic.ini", "check"],
        env={"RECORDS_URL": address, "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "No new upgrade operations detected" in done.stdout


def test_no_database_is_made_by_asking(tmp_path: Path) -> None:
    """`current` on a fresh machine leaves no empty file behind."""

    async def ask() -> None:
        memory = connect(f"sqlite+aiosqlite:///{tmp_path}/deep/records.db")
        assert await migrate.current(memory.engine) is None
        with pytest.raises(SchemaBehind):
            await migrate.check_ready(memory.engine)
        with pytest.raises(RecordsUnavailable):
            async with memory.reading() as session:
                await session.execute(text("SELECT 1"))
        await memory.close()

    asyncio.run(ask())
    assert list(tmp_path.iterdir()) == []


def test_the_migrations_run_from_the_built_distribution(tmp_path: Path) -> None:
    """The wheel holds them: unpacked elsewhere and first on the path, it upgrades a database."""
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import asyncio, records\n"
        "from records import migrate\n"
        "from records.engine import opened\n"
        "async def run():\n"
        "    async with opened() as memory:\n"
        "        await migrate.upgrade(memory.engine)\n"
        "        await migrate.check_ready(memory.engine)\n"
        "asyncio.run(run())\n"
        "print(records.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(tmp_path / "site"),
            "RECORDS_URL": f"sqlite+aiosqlite:///{tmp_path}/r.db",
            "PATH": "",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(tmp_path / "site/records/__init__.py")
