"""Reads what performance is measured from, and keeps the figures in `dataset_metrics`, with their alerts.

Metrics are `live_<figure>` and `estimated_<figure>`; details hold the interval, the certificate's figure and
whether it is worse. Their windows roll, and overlap: a label that comes late still counts.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from kit.home import Home
from monitoring.alerts import effect, from_performance
from monitoring.alerts.book import Entry
from monitoring.alerts.from_performance import Told
from monitoring.drift.reference import Reference
from monitoring.durations import duration
from monitoring.performance.estimate import estimate
from monitoring.performance.live import Asked, Tolerance, live
from monitoring.performance.result import LivePerformance
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import metrics, prediction_windows
from records.repositories.metrics import Measurement
from records.repositories.prediction_windows import Labelled, Served

LIVE: Final = "live_"
ESTIMATED: Final = "estimated_"
EXAMPLES: Final = 3


class Judged(NamedTuple):
    """The figures of one version, and the alerts that they are about."""

    figures: tuple[LivePerformance, ...]
    alerts: tuple[Entry, ...]


async def performance(
    records: Records,
    home: Home,
    settings: MonitoringSettings,
    reference: Reference,
    served: Served,
    *,
    now: datetime,
) -> Judged:
    """Returns the live figures if there are labels enough, and the estimate if there are rows enough.

    They are kept, and the alerts are counted, in one transaction.
    """
    asked = Asked(served, now - duration(settings.performance_window), now, now)
    tolerance = Tolerance(settings.drift_false_alarms, settings.performance_floor)
    async with records.reading() as session:
        labelled = await prediction_windows.labelled(session, served, asked.period)
        window = await prediction_windows.window(session, served, asked.period, limit=settings.drift_max_rows)
    found = []
    if len(labelled) >= settings.performance_min_labels:
        figures = live(reference, labelled, window, asked, tolerance)
        found.append(Told(figures, effect.of_labels(reference, labelled), _wrong(labelled)))
    if len(window) >= settings.drift_min_rows:
        promised = estimate(reference, window, asked, tolerance)
        found.append(Told(promised, effect.of_answers(reference, window.labels)))
    async with records.transaction() as session:
        await metrics.write(session, [row for told in found for row in _measurements(told.figures)])
        entries = await from_performance.write(session, settings, home, found)
    return Judged(tuple(told.figures for told in found), tuple(entries))


def _wrong(labelled: Labelled) -> tuple[str, ...]:
    """Returns the latest requests whose answer was not what a person says."""
    wrong = [
        request_id
        for request_id, told, true in zip(labelled.request_ids, labelled.answered, labelled.true, strict=True)
        if told != true
    ]
    return tuple(wrong[-EXAMPLES:][::-1])


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
