"""The ledger takes new rows, answers questions, and lets nobody rewrite it."""

from typing import Any

import pytest
from sqlalchemy import text

from contracts.environments import Environment
from records.engine import Records
from records.errors import RecordRejected
from records.repositories import deployments
from records.repositories.deployments import NewDeployment
from records.tables import ModelDeployment
from records.tables.model_deployments import Action
from tests.records.rows import after


async def move(records: Records, seconds: float, **changed: Any) -> ModelDeployment:
    """Writes one move into the ledger."""
    values: dict[str, Any] = {
        "model_name": "spam-detector",
        "environment": Environment.PRODUCTION,
        "action": Action.PROMOTE,
        "from_version": None,
        "to_version": "1",
        "actor": "ada",
        "reason": "better",
        "gate": {"accepted": True, "reasons": []},
        "created_at": after(seconds),
    }
    async with records.transaction() as session:
        return await deployments.append(session, NewDeployment(**(values | changed)))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE model_deployments SET actor = 'eve'",
        "UPDATE model_deployments SET actor = 'eve' WHERE to_version = '1'",
        "DELETE FROM model_deployments",
        "TRUNCATE model_deployments",
    ],
)
async def test_no_row_of_the_ledger_is_changed_or_deleted(records: Records, statement: str) -> None:
    """The database refuses it, whoever asks and however; the row is as it was."""
    if statement.startswith("TRUNCATE") and records.dialect == "sqlite":
        statement = "DELETE FROM model_deployments WHERE 1"  # SQLite has no TRUNCATE
    await move(records, 0)

    async def tamper() -> None:
        async with records.transaction() as session:
            await session.execute(text(statement))

    with pytest.raises(RecordRejected, match="append_only"):
        await tamper()
    async with records.reading() as session:
        (row,) = await deployments.history(session)
    assert row.actor == "ada"


@pytest.mark.parametrize("how", ["upsert", "replace"])
async def test_replacing_a_row_is_refused_too(records: Records, how: str) -> None:
    """An upsert is an update in disguise, and SQLite's REPLACE a deletion that fires no trigger for it."""
    row = await move(records, 0)
    verb, end = "INSERT", " ON CONFLICT (id) DO UPDATE SET actor = excluded.actor"
    if how == "replace" and records.dialect == "sqlite":
        verb, end = "INSERT OR REPLACE", ""
    columns = "id, created_at, model_name, environment, action, to_version, reason, gate, actor"
    insert = f"{verb} INTO model_deployments ({columns}) SELECT {columns.replace('actor', repr('eve'))} "
    insert += f"FROM model_deployments WHERE true{end}"

    async def tamper() -> None:
        async with records.transaction() as session:
            await session.execute(text(insert))

    with pytest.raises(RecordRejected):
        await tamper()
    async with records.reading() as session:
        kept = await session.get(ModelDeployment, row.id)
    assert kept is not None
    assert kept.actor == "ada"


async def test_what_serves_where_is_the_latest_move(records: Records) -> None:
    """One row for each model and environment; moves of one instant count in the order they were written."""
    await move(records, 1)
    await move(records, 2, from_version="1", to_version="2")
    await move(records, 2, from_version="2", to_version="1", action=Action.ROLLBACK)
    await move(records, 3, environment=Environment.STAGING, to_version="3")
    await move(records, 4, model_name="iris", to_version="9")
    async with records.reading() as session:
        everything = await deployments.serving(session)
        spam = await deployments.serving(session, model_name="spam-detector")
    assert [(row.model_name, row.environment, row.to_version) for row in everything] == [
        ("iris", "production", "9"),
        ("spam-detector", "production", "1"),
        ("spam-detector", "staging", "3"),
    ]
    assert len(spam) == 2


async def test_history_is_newest_first_and_narrowed(records: Records) -> None:
    """The ledger answers who, when and why."""
    for number in range(1, 4):
        await move(records, number, from_version=None, to_version=str(number), reason=f"reason {number}")
    await move(records, 9, environment=Environment.STAGING)
    async with records.reading() as session:
        production = await deployments.history(
            session, model_name="spam-detector", environment=Environment.PRODUCTION, limit=2
        )
        assert await deployments.history(session, model_name="iris") == []
    assert [(row.to_version, row.reason) for row in production] == [("3", "reason 3"), ("2", "reason 2")]
    assert production[0].gate == {"accepted": True, "reasons": []}


@pytest.mark.parametrize(
    "wrong",
    [{"reason": " "}, {"actor": ""}, {"from_version": "1"}, {"environment": "prod"}, {"action": "force"}],
)
async def test_a_move_without_who_why_or_where_is_refused(records: Records, wrong: dict[str, str]) -> None:
    """A ledger with blanks is none."""
    with pytest.raises(RecordRejected):
        await move(records, 0, **wrong)
