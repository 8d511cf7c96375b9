"""What drift runs and live figures said over time, read from `dataset_metrics` and made into charts."""

from collections import defaultdict
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from monitoring.console import words
from monitoring.console.charts import About, Chart, Level, Mark, lined
from monitoring.drift import series
from monitoring.drift.words import percent
from monitoring.performance.confusion import FIGURES
from monitoring.performance.job import ESTIMATED, LIVE
from monitoring.settings import MonitoringSettings
from records.repositories import metrics
from records.tables import DatasetMetric

KINDS: Final = {0.0: "quiet", 0.5: "small", 1.0: "drift"}
VERDICTS: Final = {"quiet": "quiet", "small": "moved a little", "drift": "drift"}
_ROWS: Final = 2000
_POINTS: Final = 300
_RUNS: Final = 20
_LATEST: Final = 20


class Family(NamedTuple):
    """The verdict of a run on a family."""

    name: str
    kind: str
    sentence: str


class Latest(NamedTuple):
    """The latest run of a model in an environment."""

    run: DatasetMetric
    families: tuple[Family, ...]


class Trends(NamedTuple):
    """What there is to show of a model in an environment."""

    latest: Latest | None
    drift: tuple[Chart, ...]
    """One for each family."""
    figures: tuple[Chart, ...]
    estimates: tuple[Chart, ...]
    """Figures that no label stands behind."""
    runs: tuple[DatasetMetric, ...]
    """The latest first."""


async def latest(session: AsyncSession, model: str, source: str) -> Latest | None:
    """Returns the latest run, or None if there is none."""
    wanted = metrics.Series(model_name=model, source=source, metric=series.RUN)
    run = max(
        await metrics.series(session, wanted, limit=_LATEST), key=lambda row: row.measured_at, default=None
    )
    if run is None:
        return None
    rows = await metrics.of_window(
        session,
        metrics.Series(model_name=model, source=source, metric=series.VERDICT),
        dataset=run.dataset,
        window_start=run.window_start,
        window_end=run.window_end,
    )
    told = [Family(row.family, KINDS.get(row.value, "quiet"), _text(row.details, "sentence")) for row in rows]
    order = list(KINDS.values())
    return Latest(run, tuple(sorted(told, key=lambda each: (-order.index(each.kind), each.name))))


async def read(
    session: AsyncSession, settings: MonitoringSettings, model: str, source: str, since: datetime
) -> Trends:
    """Returns everything since then."""

    def wanted(metric: str) -> metrics.Series:
        return metrics.Series(model_name=model, source=source, metric=metric)

    runs = await metrics.series(session, wanted(series.RUN), since=since, limit=_RUNS)
    verdicts = await metrics.series(session, wanted(series.VERDICT), since=since, limit=_ROWS)
    sizes = await metrics.largest_of_families(session, wanted("moved_share"), since=since, limit=_ROWS)
    kinds = {(row.family, row.window_end, row.dataset): KINDS.get(row.value, "quiet") for row in verdicts}
    by_family: dict[str, list[Mark]] = defaultdict(list)
    for size in sizes:
        kind = kinds.get((size.family, size.window_end, size.dataset), "quiet")
        told = f"{percent(size.value)} moved, {VERDICTS[kind]}, version {size.dataset}"
        by_family[size.family].append(Mark(size.window_end, size.value, told, kind))
    return Trends(
        latest=await latest(session, model, source),
        drift=tuple(_family(name, marks, settings.drift_floor) for name, marks in sorted(by_family.items())),
        figures=await _figures(session, model, source, LIVE, since),
        estimates=await _figures(session, model, source, ESTIMATED, since),
        runs=tuple(reversed(runs)),
    )


def _family(name: str, marks: list[Mark], floor: float) -> Chart:
    drifted = sum(mark.kind == "drift" for mark in marks)
    return lined(
        About(
            f"drift-{name}",
            name,
            f"{len(marks)} runs, drift in {drifted}; the last time {marks[-1].told}.",
            ("Window until (UTC)", "Largest share of predictions that moved"),
            percent,
        ),
        marks,
        level=Level(floor, f"floor {percent(floor)}"),
        floor=0.2,
    )


async def _figures(
    session: AsyncSession, model: str, source: str, prefix: str, since: datetime
) -> tuple[Chart, ...]:
    charts = []
    for name in FIGURES:
        one = metrics.Series(model_name=model, source=source, metric=f"{prefix}{name}", family="", feature="")
        rows = await metrics.series(session, one, since=since, limit=_POINTS)
        if rows:
            charts.append(_figure(f"{prefix}{name}", name, rows))
    return tuple(charts)


def _figure(number: str, name: str, rows: list[DatasetMetric]) -> Chart:
    marks = []
    for row in rows:
        low, high = _number(row.details, "low"), _number(row.details, "high")
        between = f" ({percent(low)} to {percent(high)})" if low is not None and high is not None else ""
        worse = row.details.get("worse") is True
        told = f"{percent(row.value)}{between}, {row.row_count:,} rows, version {row.dataset}"
        marks.append(
            Mark(
                row.window_end,
                row.value,
                told + (", worse" if worse else ""),
                "worse" if worse else "quiet",
                low,
                high,
            )
        )
    promised = _number(rows[-1].details, "certificate")
    return lined(
        About(
            number,
            words.plain(name),
            f"The last time {marks[-1].told}"
            + (f"; the certificate has {percent(promised)}." if promised is not None else "."),
            ("Window until (UTC)", "Value, with its 95 % interval"),
            percent,
        ),
        marks,
        level=Level(promised, f"certificate {percent(promised)}") if promised is not None else None,
        least=None,
        most=1,
        floor=0.05,
    )


def _number(details: dict[str, Any], name: str) -> float | None:
    value = details.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(details: dict[str, Any], name: str) -> str:
    value = details.get(name)
    return value if isinstance(value, str) else ""
