"""Reads what performance is measured from, and keeps the figures in `dataset_metrics`.

Metrics are `live_<figure>` and `estimated_<figure>`; details hold the interval, the certificate's figure and
whether it is worse. Their windows roll, and overlap: a label that comes late still counts.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from monitoring.drift.reference import Reference
from monitoring.durations import duration
from monitoring.performance.estimate import estimate
from monitoring.performance.live import Asked, Tolerance, live
from monitoring.performance.result import LivePerformance
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import metrics, prediction_windows
from records.repositories.metrics import Measurement
from records.repositories.prediction_windows import Served

LIVE: Final = "live_"
ESTIMATED: Final = "estimated_"


async def performance(
    records: Records, settings: MonitoringSettings, reference: Reference, served: Served, *, now: datetime
) -> tuple[LivePerformance, ...]:
    """Returns the live figures if there are labels enough, and the estimate if there are rows enough."""
    asked = Asked(served, now - duration(settings.performance_window), now, now)
    tolerance = Tolerance(settings.drift_false_alarms, settings.performance_floor)
    async with records.reading() as session:
        labelled = await prediction_windows.labelled(session, served, asked.period)
        window = await prediction_windows.window(session, served, asked.period, limit=settings.drift_max_rows)
    found = []
    if len(labelled) >= settings.performance_min_labels:
        found.append(live(reference, labelled, window, asked, tolerance))
    if len(window) >= settings.drift_min_rows:
        found.append(estimate(reference, window, asked, tolerance))
    async with records.transaction() as session:
        await metrics.write(session, [row for result in found for row in _measurements(result)])
    return tuple(found)


def _measurements(result: LivePerformance) -> Iterator[Measurement]:
    for figure in result.figures:
        yield Measurement(
            model_name=result.model,
            source=result.environment.value,
            dataset=result.version,
            metric=f"{ESTIMATED if result.estimate else LIVE}{figure.name}",
            window_start=result.window_start,
            window_end=result.window_end,
            measured_at=result.measured_at,
            value=figure.value,
            row_count=result.rows,
            details={
                "low": figure.low,
                "high": figure.high,
                "certificate": figure.certificate,
                "worse": figure.worse,
            },
        )
