"""What the latest run of each version found, read from `dataset_metrics` as it was kept."""

from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from monitoring.drift import series
from monitoring.drift.result import Document
from monitoring.errors import NothingServed
from records.engine import Records
from records.repositories import metrics, served_versions
from records.repositories.prediction_windows import Served
from records.tables import DatasetMetric


class Kept(Document):
    """One family's verdict in the latest run of a version in an environment."""

    model: str
    environment: Environment
    version: str
    window_start: datetime
    window_end: datetime
    rows: int
    family: str
    drift: float
    """1 for drift, 0.5 for less than the floor, 0 for quiet."""
    sentence: str
    report: Path | None
    """The page of the run; None if it wrote none."""


async def latest(
    records: Records, *, model: str | None = None, environment: Environment | None = None
) -> list[Kept]:
    """Returns the verdicts of the latest run of each model and environment.

    Raises:
        NothingServed: no run is kept of what is asked for.
    """
    async with records.reading() as session:
        found = [
            verdict
            for served in await served_versions.measured(
                session, series.RUN, model=model, environment=environment
            )
            for verdict in await _of(session, served)
        ]
    if not found:
        raise NothingServed(
            "No drift run is kept of what is asked for.", next_step="Measure the drift: sluice drift run"
        )
    return found


async def _of(session: AsyncSession, served: Served) -> list[Kept]:
    rows = await metrics.of_dataset(
        session, model_name=served.model_name, source=served.environment.value, dataset=served.model_version
    )
    run = next(row for row in reversed(rows) if row.metric == series.RUN)
    report = run.details.get("report")
    return [
        Kept(
            model=served.model_name,
            environment=served.environment,
            version=served.model_version,
            window_start=run.window_start,
            window_end=run.window_end,
            rows=run.row_count,
            family=row.family,
            drift=row.value,
            sentence=row.details.get("sentence", ""),
            report=Path(report) if report else None,
        )
        for row in rows
        if row.metric == series.VERDICT and _same_window(row, run)
    ]


def _same_window(row: DatasetMetric, run: DatasetMetric) -> bool:
    return (row.window_start, row.window_end) == (run.window_start, run.window_end)
