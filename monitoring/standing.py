"""What stands in the records, as `/metrics` tells it: asked at a scrape, kept for seconds, never waited for.

Of each model and environment the latest drift run and the latest live figures count; queries go by indexes,
and their number by the number of models, not of runs. When the records do not answer in time nothing of it
is told but that: values of yesterday would look like values of now.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import metrics as contract
from contracts.environments import Environment
from contracts.metrics import Metric
from kit.errors import OperationalError
from monitoring.drift import series
from monitoring.performance.confusion import FIGURES
from monitoring.performance.job import ESTIMATED, LIVE
from records.engine import Records
from records.errors import RecordsUnavailable
from records.repositories import alerts, deployments, jobs, metrics
from records.repositories.jobs import Job
from records.repositories.waiting import Waiting, waiting
from records.tables import DatasetMetric
from records.tables.webhook_deliveries import DeliveryStatus

KEPT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 4
"""Below the ten seconds that Prometheus waits."""
_RUNS: Final = 20
"""The latest runs of a model and environment in which the last one is looked for: kinds of windows differ."""

log: Final = structlog.get_logger(__name__)


class Value(NamedTuple):
    """One value of a metric, with its labels in the order of the contract."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Standing(NamedTuple):
    """What was read, and when; `trouble` says why nothing could be."""

    values: tuple[Value, ...]
    at: float
    trouble: OperationalError | None = None


class Stand:
    """Reads it from `records`; whoever asks within seconds gets the same."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._kept: Standing | None = None
        self._turn = asyncio.Lock()

    async def now(self) -> Standing:
        """Returns what stands there; of many that ask at once, one reads."""
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if self._kept is None or clock() - self._kept.at > KEPT_SECONDS:
                self._kept = await self._read(clock())
            return self._kept

    async def _read(self, at: float) -> Standing:
        trouble: OperationalError
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._records.reading() as session:
                return Standing(tuple(await read(session, datetime.now(UTC))), at)
        except TimeoutError:
            trouble = RecordsUnavailable(f"The records did not answer within {ANSWER_SECONDS} s.")
        except OperationalError as error:
            trouble = error
        if self._kept is None or self._kept.trouble is None:
            log.warning("records_not_read", code=trouble.code, reason=trouble.message)
        return Standing((), at, trouble)


async def read(session: AsyncSession, now: datetime) -> list[Value]:
    """Returns every value."""
    found = [
        Value(_JOBS[job], (), at.timestamp()) for job, at in sorted((await jobs.completions(session)).items())
    ]
    places = {environment.value for environment in Environment}
    for model, source in await metrics.measured_sources(session):
        if source in places:
            found += await _drift(session, model, source)
            found += await _figures(session, model, source)
    for (place, kind, severity), count in sorted((await alerts.open_counts(session)).items()):
        found.append(Value(contract.ALERTS_OPEN, (place, kind, severity), count))
    found += _deliveries(await waiting(session), now)
    for move in await deployments.serving(session):
        found.append(Value(contract.DEPLOYED_MODEL, (move.environment, move.model_name, move.to_version), 1))
    return found


_JOBS: Final = {
    Job.DRIFT: contract.DRIFT_JOB_TIMESTAMP,
    Job.INGEST: contract.FEATURES_INGEST_TIMESTAMP,
}


async def _drift(session: AsyncSession, model: str, source: str) -> list[Value]:
    def wanted(metric: str) -> metrics.Series:
        return metrics.Series(model_name=model, source=source, metric=metric)

    runs = await metrics.series(session, wanted(series.RUN), limit=_RUNS)
    if not runs:
        return []
    run = max(runs, key=lambda row: row.measured_at)
    verdicts = await metrics.of_window(
        session,
        wanted(series.VERDICT),
        dataset=run.dataset,
        window_start=run.window_start,
        window_end=run.window_end,
    )
    return [
        Value(contract.DRIFT_RUN_TIMESTAMP, (source, model), run.measured_at.timestamp()),
        *(Value(contract.DRIFT, (source, model, row.dataset, row.family), row.value) for row in verdicts),
    ]


async def _figures(session: AsyncSession, model: str, source: str) -> list[Value]:
    rows: list[tuple[str, bool, DatasetMetric]] = []
    for prefix, estimate in ((LIVE, False), (ESTIMATED, True)):
        for figure in FIGURES:
            one = metrics.Series(
                model_name=model, source=source, metric=f"{prefix}{figure}", family="", feature=""
            )
            rows += [(figure, estimate, row) for row in await metrics.series(session, one, limit=1)]
    if not rows:
        return []
    latest = max((row.measured_at, row.dataset) for _, _, row in rows)
    return [
        Value(contract.LIVE_FIGURE, (source, model, row.dataset, figure, str(estimate).lower()), row.value)
        for figure, estimate, row in rows
        if row.dataset == latest[1]
    ]


def _deliveries(messages: list[Waiting], now: datetime) -> Iterator[Value]:
    for each in messages:
        yield Value(contract.DELIVERIES, (each.channel, each.status), each.messages)
        if each.status == DeliveryStatus.PENDING:
            age = max(now - each.oldest, timedelta(0))
            yield Value(contract.DELIVERY_AGE_SECONDS, (each.channel,), age.total_seconds())
