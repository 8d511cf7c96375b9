"""Pipeline runs in the platform's memory (`experiment_runs`), for code that does not run an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from kit.errors import CallerError
from records import migrate
from records.engine import Records, address, opened, sqlite_file
from records.repositories import runs
from records.settings import RecordsSettings
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger
from training.lineage import git_commit

Answer = TypeVar("Answer")

RUN: Final = "run"
"""The id of the pipeline run, among the row's parameters."""


class RunUnknown(CallerError):
    """No pipeline run of this id is under way."""

    status = 404
    code = "run_unknown"
    title = "No such run"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a pipeline run ended."""

    status: RunStatus
    figures: Mapping[str, Any] = field(default_factory=dict)
    reasons: Sequence[str] = ()
    mlflow_run_id: str | None = None
    model_version: str | None = None
    data_fingerprint: str | None = None
    schema_digest: str | None = None


def begin(
    run: str,
    workload: str,
    parameters: Mapping[str, Any],
    *,
    trigger: Trigger = Trigger.MANUAL,
    trigger_reason: str | None = None,
    announced: UUID | None = None,
) -> None:
    """Writes once that a pipeline run has begun; the tables of a local SQLite file are made if need be.

    A run that was announced by whoever started it has a row already, `announced`, and takes it over.

    Raises:
        RecordsUnavailable: the database does not answer.
        SchemaBehind: its tables are older than this code.
    """
    new = runs.NewRun(
        workload=workload,
        trigger=trigger,
        trigger_reason=trigger_reason,
        parameters={**parameters, RUN: run},
        started_at=datetime.now(UTC),
        git_commit=git_commit(Path(__file__).parent),
    )

    async def write(records: Records) -> None:
        if sqlite_file(address(RecordsSettings.load())) is not None:
            await migrate.upgrade(records.engine)
        async with records.transaction() as session:
            under_way = await runs.running(session, workload)
            if any(row.parameters.get(RUN) == run for row in under_way):
                return
            if announced is None or not await runs.adopt(session, announced, new):
                await runs.begin(session, new)

    _asked(write)


def finish(run: str, workload: str, outcome: Outcome) -> None:
    """Writes how a pipeline run ended.

    Raises:
        RunUnknown: it never began, or has ended already.
    """
    end = runs.RunEnd(
        status=outcome.status,
        finished_at=datetime.now(UTC),
        figures=dict(outcome.figures),
        reasons=list(outcome.reasons),
        mlflow_run_id=outcome.mlflow_run_id,
        model_version=outcome.model_version,
        data_fingerprint=outcome.data_fingerprint,
        schema_digest=outcome.schema_digest,
    )

    async def write(records: Records) -> None:
        async with records.transaction() as session:
            for row in await runs.running(session, workload):
                if row.parameters.get(RUN) == run:
                    await runs.finish(session, row.id, end)
                    return
        raise RunUnknown(f"Run {run} of {workload} is not under way.")

    _asked(write)


def recent(*, workload: str | None = None, limit: int = 20) -> list[ExperimentRun]:
    """Returns the latest pipeline runs, newest first."""

    async def read(records: Records) -> list[ExperimentRun]:
        async with records.reading() as session:
            return await runs.recent(session, workload=workload, limit=limit)

    return _asked(read)


def _asked(question: Callable[[Records], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        async with opened() as records:
            return await question(records)

    return asyncio.run(ask())
