"""Runs of the training pipeline: begun, finished, compared with the one before."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from records.errors import RecordMissing
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger


async def begin(
    session: AsyncSession,
    *,
    workload: str,
    trigger: Trigger,
    parameters: dict[str, Any],
    started_at: datetime,
    trigger_reason: str | None = None,
    data_fingerprint: str | None = None,
    schema_digest: str | None = None,
    git_commit: str | None = None,
) -> ExperimentRun:
    """Writes that a run has begun and returns its row."""
    row = ExperimentRun(
        workload=workload,
        status=RunStatus.RUNNING,
        trigger=trigger,
        trigger_reason=trigger_reason,
        started_at=started_at,
        data_fingerprint=data_fingerprint,
        schema_digest=schema_digest,
        git_commit=git_commit,
        parameters=parameters,
        figures={},
        reasons=[],
    )
    session.add(row)
    await session.flush()
    return row


async def finish(
    session: AsyncSession,
    run_id: UUID,
    status: RunStatus,
    *,
    finished_at: datetime,
    figures: dict[str, Any],
    reasons: list[str],
    **found: str | None,
) -> ExperimentRun:
    """Writes how a run ended and returns its row; a run ends once.

    `found` is what the run came to know: mlflow_run_id, model_version, data_fingerprint, schema_digest.

    Raises:
        RecordMissing: there is no such run, or it has ended already.
    """
    statement = (
        update(ExperimentRun)
        .where(ExperimentRun.id == run_id, ExperimentRun.status == RunStatus.RUNNING)
        .values(status=status, finished_at=finished_at, figures=figures, reasons=reasons, **found)
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


async def count_started(session: AsyncSession, workload: str, trigger: Trigger, *, since: datetime) -> int:
    """Returns how many runs of `workload` that `trigger` started began at or after `since`: for a daily cap."""
    query = select(func.count()).where(
        ExperimentRun.workload == workload,
        ExperimentRun.trigger == trigger,
        ExperimentRun.started_at >= since,
    )
    return await session.scalar(query) or 0
