"""The ledger as promotion uses it, without an event loop: write a move once, find the version before."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from contracts.environments import Environment
from kit.errors import CallerError
from records import migrate
from records.engine import Records, address, opened, sqlite_file
from records.repositories import deployments
from records.repositories.deployments import NewDeployment
from records.settings import RecordsSettings
from records.tables import ModelDeployment
from records.tables.model_deployments import Action

Answer = TypeVar("Answer")
_MOST: Final = 1000
"""Moves of one model and environment that are read to find the one to go back to."""


class NothingBefore(CallerError):
    """The ledger knows no version that served before."""

    status = 404
    code = "nothing_before"
    title = "No version to go back to"


def check() -> None:
    """Returns if the ledger can be written; the tables of a local SQLite file are made if need be.

    Raises:
        RecordsUnavailable: the database does not answer.
        SchemaBehind: its tables are older than this code.
    """

    async def ask(records: Records) -> None:
        if sqlite_file(address(RecordsSettings.load())) is not None:
            await migrate.upgrade(records.engine)
        async with records.reading() as session:
            await deployments.history(session, limit=1)

    _asked(ask)


def record_once(move: NewDeployment) -> bool:
    """Appends `move` and returns True, unless the ledger says it already.

    It does if it has a row of this very time, version and action, or if `move` comes from nowhere to where
    the latest row is: a version that is only loaded again has not moved.
    """

    async def write(records: Records) -> bool:
        async with records.transaction() as session:
            rows = await deployments.history(
                session, model_name=move.model_name, environment=move.environment, limit=_MOST
            )
            again = move.from_version is None and bool(rows) and rows[0].to_version == move.to_version
            if again or any(_same(row, move) for row in rows):
                return False
            await deployments.append(session, move)
            return True

    return _asked(write)


def holds(model: str, environment: Environment, at: datetime, version: str) -> bool:
    """Tells whether the ledger has the row of a move to `version` that was fixed at the time `at`."""
    return any(row.created_at == at and row.to_version == version for row in history(model, environment))


def history(model: str, environment: Environment, *, limit: int = _MOST) -> list[ModelDeployment]:
    """Returns the moves of a model in an environment, newest first."""

    async def read(records: Records) -> list[ModelDeployment]:
        async with records.reading() as session:
            return await deployments.history(session, model_name=model, environment=environment, limit=limit)

    return _asked(read)


def served_before(model: str, environment: Environment, version: str | None) -> str:
    """Returns the version to go back to from `version`, the one that serves now.

    Raises:
        NothingBefore: the ledger knows of none.
    """
    before = version_before([(Action(row.action), row) for row in reversed(history(model, environment))])
    if before is None or before == version:
        raise NothingBefore(
            f"The ledger knows no version of {model} that served in {environment} before {version or 'now'}.",
            next_step="Name one: sluice model rollback --version V; sluice model list shows what there is.",
        )
    return before


def version_before(moves: Sequence[tuple[Action, ModelDeployment]]) -> str | None:
    """Returns the version below the newest of `moves` (oldest first), or None.

    Promotions lie on each other; a rollback takes off what lies above the version it went back to. A second
    rollback thus goes one further back, and not forth again.
    """
    stack: list[str] = []
    for action, row in moves:
        if row.from_version is not None and (not stack or stack[-1] != row.from_version):
            stack.append(row.from_version)
        if action is Action.ROLLBACK and row.to_version in stack:
            while stack[-1] != row.to_version:
                stack.pop()
        elif not stack or stack[-1] != row.to_version:
            stack.append(row.to_version)
    return stack[-2] if len(stack) > 1 else None


def _same(row: ModelDeployment, move: NewDeployment) -> bool:
    return (row.created_at, row.to_version, row.action) == (
        move.created_at,
        move.to_version,
        move.action.value,
    )


def _asked(question: Callable[[Records], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        async with opened() as records:
            return await question(records)

    return asyncio.run(ask())
