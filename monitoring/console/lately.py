"""What happened over the last day, from the records and the gateway; kept for seconds, as pages ask often."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from monitoring.console import failures, words
from monitoring.console.charts import About, Chart, Mark, barred, lined
from monitoring.console.failures import Failures
from monitoring.drift import series
from monitoring.parts import Parts
from records.repositories import alerts, deployments, metrics, paged, traffic
from records.repositories.prediction_windows import Period, Served
from records.repositories.traffic import Answered, Hour
from records.repositories.waiting import waiting
from records.tables import DatasetMetric, ModelDeployment, MonitoringAlert

HOURS: Final = 24
KEPT_SECONDS: Final = 5
_SAMPLE: Final = 200
"""Answers of each hour, the latest, that its latency is told from."""
_ALERTS: Final = 5
_RUNS: Final = 20


class Place(NamedTuple):
    """A model in an environment over the last day."""

    model: str
    environment: str
    version: str
    """What answered last, or what is deployed where nothing answered."""
    deployed: ModelDeployment | None
    latest: datetime | None
    answers: int
    defaulted: int
    mirrored: int
    others: tuple[tuple[str, int], ...]
    """Other versions that answered there, and how often."""
    median: float | None
    slow: float | None
    """The time that 95 of 100 answers stayed below, seconds."""
    traffic: Chart
    latency: Chart
    drifted: tuple[str, ...] | None
    """Families that drifted in the latest run; None without one."""
    measured: datetime | None


class Overview(NamedTuple):
    """What the first page shows."""

    places: tuple[Place, ...]
    open_counts: dict[str, int]
    """Open alerts by severity."""
    open_alerts: tuple[MonitoringAlert, ...]
    dead: int
    failures: Failures
    read_at: datetime


class Lately:
    """Reads it; whoever asks within seconds gets the same, and of many that ask at once one reads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: Overview | None = None
        self._turn = asyncio.Lock()

    async def now(self) -> Overview:
        """Returns what stands there.

        Raises:
            RecordsUnavailable: the records do not answer.
        """
        async with self._turn:
            now = datetime.now(UTC)
            if self._kept is None or now - self._kept.read_at > timedelta(seconds=KEPT_SECONDS):
                failed = await failures.read(self._parts, now)
                async with self._parts.records.reading() as session:
                    self._kept = await read(session, failed, now)
            return self._kept


async def read(session: AsyncSession, failed: Failures, now: datetime) -> Overview:
    """Returns the last day as seen from `now`, with what the gateway said of failures."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    groups: dict[tuple[str, str], list[Answered]] = {}
    for answered in await traffic.answered(session):
        key = (answered.served.model_name, answered.served.environment.value)
        groups.setdefault(key, []).append(answered)
    moves = {(move.model_name, move.environment): move for move in await deployments.serving(session)}
    places = [
        await _place(session, key, groups.get(key, []), moves.get(key), start)
        for key in sorted(groups.keys() | moves.keys(), key=lambda key: (key[0], key[1]))
    ]
    counts: dict[str, int] = {}
    for (_, _, severity), count in (await alerts.open_counts(session)).items():
        counts[severity] = counts.get(severity, 0) + count
    page = await paged.alerts(session, 1)
    dead = sum(each.messages for each in await waiting(session) if each.status == "dead")
    return Overview(tuple(places), counts, tuple(page.rows[:_ALERTS]), dead, failed, now)


async def _place(
    session: AsyncSession,
    key: tuple[str, str],
    found: Sequence[Answered],
    move: ModelDeployment | None,
    start: datetime,
) -> Place:
    model, environment = key
    active = sorted((each for each in found if each.latest >= start), key=lambda each: each.latest)
    last = max(found, key=lambda each: each.latest, default=None)
    hours = {each.served: await traffic.hourly(session, each.served, start) for each in active}
    sample = await _sample(session, hours)
    everything = sorted(value for values in sample.values() for value in values)
    sums = [sum(hour.answers for hour in hours[each.served]) for each in active]
    version = last.served.model_version if last else (move.to_version if move else "")
    run = await _latest_run(session, model, environment)
    number = f"{model}-{environment}".replace(" ", "-")
    return Place(
        model=model,
        environment=environment,
        version=version,
        deployed=move,
        latest=last.latest if last else None,
        answers=sum(sums),
        defaulted=sum(hour.defaulted for listed in hours.values() for hour in listed),
        mirrored=sum(hour.mirrored for listed in hours.values() for hour in listed),
        others=tuple(
            (each.served.model_version, count)
            for each, count in zip(active, sums, strict=True)
            if each.served.model_version != version and count
        ),
        median=_quantile(everything, 0.5),
        slow=_quantile(everything, 0.95),
        traffic=_traffic(number, hours.values(), start),
        latency=_latency(number, sample, start),
        drifted=None if run is None else await _drifted(session, run),
        measured=None if run is None else run.measured_at,
    )


async def _sample(session: AsyncSession, hours: dict[Served, list[Hour]]) -> dict[datetime, list[float]]:
    found: dict[datetime, list[float]] = {}
    for served, listed in hours.items():
        for hour in listed:
            if hour.answers:
                period = Period(hour.start, hour.start + timedelta(hours=1))
                found.setdefault(hour.start, []).extend(
                    await traffic.latencies(session, served, period, limit=_SAMPLE)
                )
    return found


async def _latest_run(session: AsyncSession, model: str, environment: str) -> DatasetMetric | None:
    wanted = metrics.Series(model_name=model, source=environment, metric=series.RUN)
    runs = await metrics.series(session, wanted, limit=_RUNS)
    return max(runs, key=lambda row: row.measured_at, default=None)


async def _drifted(session: AsyncSession, run: DatasetMetric) -> tuple[str, ...]:
    wanted = metrics.Series(model_name=run.model_name, source=run.source, metric=series.VERDICT)
    rows = await metrics.of_window(
        session, wanted, dataset=run.dataset, window_start=run.window_start, window_end=run.window_end
    )
    return tuple(row.family for row in rows if row.value == 1)


def _traffic(number: str, hours: Iterable[list[Hour]], start: datetime) -> Chart:
    counts: dict[datetime, int] = {}
    for listed in hours:
        for hour in listed:
            counts[hour.start] = counts.get(hour.start, 0) + hour.answers
    marks = []
    for at in range(HOURS):
        begin = start + timedelta(hours=at)
        marks.append(Mark(begin, counts.get(begin, 0), words.count(counts.get(begin, 0))))
    return barred(
        About(
            f"traffic-{number}",
            "Requests an hour",
            f"{words.count(sum(counts.values()))} requests in the last {HOURS} hours, "
            f"at most {words.count(max(counts.values(), default=0))} in one.",
            ("Hour (UTC)", "Requests"),
            words.count,
        ),
        marks,
    )


def _latency(number: str, sample: dict[datetime, list[float]], start: datetime) -> Chart:
    marks = []
    for at, values in sorted(sample.items()):
        ordered = sorted(values)
        slow, median = _quantile(ordered, 0.95), _quantile(ordered, 0.5)
        if slow is not None and median is not None:
            told = f"{words.seconds(slow)}, half within {words.seconds(median)}"
            marks.append(Mark(at, slow, told))
    return lined(
        About(
            f"latency-{number}",
            "Latency, 95 of 100 within",
            f"From the latest {_SAMPLE} answers of each hour"
            + (f"; at most {words.seconds(max(mark.value for mark in marks))}." if marks else "."),
            ("Hour (UTC)", "95 of 100 within"),
            words.seconds,
        ),
        marks,
        floor=0.001,
        between=(start, start + timedelta(hours=HOURS - 1)),
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Returns the least value that this share of `ordered` does not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
