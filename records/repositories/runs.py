"""Runs of the training pipeline: begun, finished, compared with the one before."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from records.errors import RecordMissing
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a run is asked to do; the fields are columns of `experiment_runs`."""

    workload: str
    trigger: Trigger
    parameters: dict[str, Any]
    started_at: datetime
    trigger_reason: str | None = None
    data_fingerprint: str | None = None
    schema_digest: str | None = None
    git_commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended; the fields are columns of `experiment_runs`, and None leaves what `begin` wrote."""

    status: RunStatus
    finished_at: datetime
    figures: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    mlflow_run_id: str | None = None
    model_version: str | None = None
    data_fingerprint: str | None = None
    schema_digest: str | None = None


async def begin(session: AsyncSession, run: NewRun) -> ExperimentRun:
    """Writes that a run has begun and returns its row."""
    row = ExperimentRun(**asdict(run), status=RunStatus.RUNNING, figures={}, reasons=[])
    session.add(row)
    await session.flush()
    return row


async def adopt(session: AsyncSession, run_id: UUID, run: NewRun) -> bool:
    """Takes over the row that whoever started `run` wrote before it: its parameters and commit are added.

    Returns False if there is no such running row of this workload.
    """
    row = await session.get(ExperimentRun, run_id, with_for_update=True)
    if row is None or row.status != RunStatus.RUNNING or row.workload != run.workload:
        return False
    row.parameters = {**row.parameters, **run.parameters}
    row.git_commit = run.git_commit
    await session.flush()
    return True


async def note(session: AsyncSession, run_id: UUID, name: str, value: Any) -> None:
    """Sets one of the parameters of a run, ended or not.

    Raises:
        RecordMissing: there is no such run.
    """
    row = await session.get(ExperimentRun, run_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise RecordMissing(f"There is no experiment {run_id}.")
    # A new object: SQLAlchemy does not see a change inside a JSON value.
    row.parameters = {**row.parameters, name: value}
    await session.flush()


async def finish(session: AsyncSession, run_id: UUID, end: RunEnd) -> ExperimentRun:
    """Writes how a run ended and returns its row; a run ends once.

    Raises:
        RecordMissing: there is no such run, or it has ended already.
        RecordRejected: `end` says that the run is still running.
    """
    statement = (
        update(ExperimentRun)
        .where(ExperimentRun.id == run_id, ExperimentRun.status == RunStatus.RUNNING)
        .values({name: value for name, value in asdict(end).items() if value is not None})
        .returning(ExperimentRun)
    )
    row = await session.scalar(statement, execution_options={"populate_existing": True})
    if row is None:
        raise RecordMissing(f"There is no running experiment {run_id}.")
    return row


async def previous_accepted(
    session: AsyncSession, workload: str, *, before: datetime | None = None
) -> ExperimentRun | None:
    """Returns the latest accepted run of `workload` that finished before `before`, or None."""
    query = select(ExperimentRun).where(
        ExperimentRun.workload == workload, ExperimentRun.status == RunStatus.ACCEPTED
    )
    if before is not None:
        query = query.where(ExperimentRun.finished_at < before)
    return await session.scalar(
        query.order_by(ExperimentRun.finished_at.desc(), ExperimentRun.id.desc()).limit(1)
    )


async def by_id(session: AsyncSession, run_id: UUID) -> ExperimentRun | None:
    """Returns one run, or None."""
    return await session.get(ExperimentRun, run_id)


async def recent(
    session: AsyncSession, *, workload: str | None = None, limit: int = 20
) -> list[ExperimentRun]:
    """Returns the latest runs, newest first, of one workload or of all."""
    query = select(ExperimentRun)
    if workload is not None:
        query = query.where(ExperimentRun.workload == workload)
    query = query.order_by(ExperimentRun.started_at.desc(), ExperimentRun.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def running(session: AsyncSession, workload: str) -> list[ExperimentRun]:
    """Returns the runs of `workload` that have not ended, oldest first."""
    query = select(ExperimentRun).where(
        ExperimentRun.workload == workload, ExperimentRun.status == RunStatus.RUNNING
    )
    return list(await session.scalars(query.order_by(ExperimentRun.started_at, ExperimentRun.id)))


async def started_by(
    session: AsyncSession, trigger: Trigger, *, since: datetime, workload: str | None = None
) -> list[ExperimentRun]:
    """Returns the runs that `trigger` started at or after `since`, oldest first; of one workload or all."""
    query = select(ExperimentRun).where(ExperimentRun.trigger == trigger, ExperimentRun.started_at >= since)
    if workload is not None:
        query = query.where(ExperimentRun.workload == workload)
    return list(await session.scalars(query.order_by(ExperimentRun.started_at, ExperimentRun.id)))


async def made(session: AsyncSession, workload: str, version: str) -> ExperimentRun | None:
    """Returns the run that made a model version, or None."""
    query = select(ExperimentRun).where(
        ExperimentRun.workload == workload, ExperimentRun.model_version == version
    )
    return await session.scalar(
        query.order_by(ExperimentRun.started_at.desc(), ExperimentRun.id.desc()).limit(1)
    )


async def count_started(session: AsyncSession, workload: str, trigger: Trigger, *, since: datetime) -> int:
    """Returns how many runs of `workload` that `trigger` started began at or after `since`."""
    query = select(func.count()).where(
        ExperimentRun.workload == workload,
        ExperimentRun.trigger == trigger,
        ExperimentRun.started_at >= since,
    )
    return await session.scalar(query) or 0
