"""What runs found, kept in `dataset_metrics`: one row for each value of each window.

| metric | family | feature | value |
| --- | --- | --- | --- |
| `drift_run` | | kind of window | families with drift; details hold the report and the seconds |
| `drift` | family | | 1 if it drifted, 0.5 if it moved less than the floor, 0 if it is quiet |
| `drift_p_value` | family | | adjusted p-value |
| `psi`, `ks`, `moved_share` | family | column | of that column |
| `defaulted_share` | | | rows with defaults, because the feature store did not answer |
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from monitoring.drift.result import DriftResult, FamilyDrift, Verdict
from records.repositories import metrics
from records.repositories.metrics import Measurement
from records.repositories.prediction_windows import Period, Served

RUN: Final = "drift_run"
VERDICT: Final = "drift"
_VALUES: Final = {Verdict.QUIET: 0.0, Verdict.SMALL: 0.5, Verdict.DRIFT: 1.0}


async def write(session: AsyncSession, result: DriftResult) -> None:
    """Writes what a run found; the same window measured again would replace it."""
    await metrics.write(session, list(_measurements(result)))


async def measured(session: AsyncSession, served: Served, kind: str) -> list[Period]:
    """Returns the latest windows of one kind that were measured of `served`, oldest first."""
    wanted = metrics.Series(
        model_name=served.model_name, source=served.environment.value, metric=RUN, feature=kind
    )
    found = await metrics.series(session, wanted, limit=1000)
    return [Period(row.window_start, row.window_end) for row in found if row.dataset == served.model_version]


async def since(session: AsyncSession, result: DriftResult, family: FamilyDrift) -> datetime:
    """Returns the start of the first window in which `family` drifted without a break until this one."""
    wanted = metrics.Series(
        model_name=result.model, source=result.environment.value, metric=VERDICT, family=family.family
    )
    start = result.window_start
    for row in reversed(await metrics.series(session, wanted, limit=1000)):
        if row.dataset != result.version or row.window_end > result.window_end:
            continue
        if row.value < _VALUES[Verdict.DRIFT]:
            break
        start = min(start, row.window_start)
    return start


def _measurements(result: DriftResult) -> Iterator[Measurement]:
    def one(metric: str, value: float, family: str = "", feature: str = "", **details: Any) -> Measurement:
        return Measurement(
            model_name=result.model,
            source=result.environment.value,
            dataset=result.version,
            metric=metric,
            family=family,
            feature=feature,
            window_start=result.window_start,
            window_end=result.window_end,
            measured_at=result.measured_at,
            value=value,
            row_count=result.rows,
            details=details,
        )

    told: dict[str, Any] = {"seconds": result.seconds, "reference_rows": result.reference_rows}
    if result.report:
        told["report"] = str(result.report)
    yield one(RUN, len(result.drifted), feature=result.kind, **told)
    yield one("defaulted_share", result.defaulted_rows / result.rows)
    for family in result.families:
        yield one(VERDICT, _VALUES[family.verdict], family.family, sentence=family.sentence)
        yield one("drift_p_value", family.p_value, family.family)
        for feature in family.features:
            yield one("psi", feature.psi, family.family, feature.name)
            yield one("moved_share", feature.moved, family.family, feature.name)
            if feature.ks is not None:
                yield one("ks", feature.ks, family.family, feature.name)


def first_overlap(wanted: Period, windows: list[Period]) -> Period | None:
    """Returns the latest of `windows` that shares an instant with `wanted`, or None; both have bounds."""
    for window in reversed(windows):
        if _before(window.since, wanted.until) and _before(wanted.since, window.until):
            return window
    return None


def _before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other
