"""When the jobs that run by the clock last came to their end, wherever they run.

One row of `dataset_metrics` for each job, replaced every time: a process that was started anew, and one on
another machine, know from it what is due and what is late.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from records.repositories import metrics
from records.tables import DatasetMetric
from records.tables.dataset_metrics import TRAINING

PLATFORM: Final = "platform"
"""Stands where other rows name a model: no workload may be called so."""
_METRIC: Final = "job"
_ALWAYS: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The window of every such row: part of its identity, so that there is one."""


class Job(StrEnum):
    """What runs by the clock and may be late."""

    DRIFT = "drift"
    INGEST = "ingest"


async def completed(session: AsyncSession, job: Job, *, now: datetime, rows: int = 0) -> None:
    """Writes that `job` came to its end `now`, whatever it found, after looking at `rows` rows."""
    value = metrics.Measurement(
        model_name=PLATFORM,
        source=TRAINING,
        dataset=job.value,
        metric=_METRIC,
        window_start=_ALWAYS,
        window_end=_ALWAYS,
        measured_at=now,
        value=now.timestamp(),
        row_count=rows,
    )
    await metrics.write(session, [value])


async def completions(session: AsyncSession) -> dict[Job, datetime]:
    """Returns when each job last came to its end; one that never did is not in it."""
    query = select(DatasetMetric.dataset, DatasetMetric.measured_at).where(
        DatasetMetric.model_name == PLATFORM,
        DatasetMetric.source == TRAINING,
        DatasetMetric.metric == _METRIC,
    )
    known = {job.value: job for job in Job}
    return {known[name]: at for name, at in await session.execute(query) if name in known}
