"""Series of measured values over windows of data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables import DatasetMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One value; the fields are columns of `dataset_metrics`, and those before `measured_at` its identity."""

    model_name: str
    source: str
    dataset: str
    metric: str
    family: str = ""
    feature: str = ""
    window_start: datetime
    window_end: datetime
    measured_at: datetime
    value: float
    row_count: int
    details: dict[str, Any] = field(default_factory=dict)


async def write(session: AsyncSession, measurements: Sequence[Measurement]) -> None:
    """Writes `measurements`; one whose identity is there already replaces it.

    Raises:
        RecordRejected: a value is NaN or infinite, a source is unknown, a window ends before it begins.
    """
    if not measurements:
        return
    insert = upsert(session, DatasetMetric)
    replaced = {name: insert.excluded[name] for name in ("measured_at", "value", "row_count", "details")}
    statement = insert.on_conflict_do_update(
        index_elements=[
            *("model_name", "source", "dataset", "metric", "family", "feature", "window_start", "window_end")
        ],
        set_=replaced,
    )
    rows = [{"id": time_ordered_uuid(), **asdict(measurement)} for measurement in measurements]
    await (await session.connection()).execute(statement, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which values belong together; None is any family or feature, "" the values about all of them."""

    model_name: str
    source: str
    metric: str
    family: str | None = None
    feature: str | None = None


async def series(
    session: AsyncSession, wanted: Series, *, since: datetime | None = None, limit: int = 1000
) -> list[DatasetMetric]:
    """Returns the latest `limit` values of a series whose windows end at or after `since`, oldest first."""
    query = select(DatasetMetric)
    for name, value in asdict(wanted).items():
        if value is not None:
            query = query.where(getattr(DatasetMetric, name) == value)
    if since is not None:
        query = query.where(DatasetMetric.window_end >= since)
    query = query.order_by(DatasetMetric.window_end.desc(), DatasetMetric.id.desc()).limit(limit)
    return list(await session.scalars(query))[::-1]


async def of_dataset(
    session: AsyncSession, *, model_name: str, source: str, dataset: str
) -> list[DatasetMetric]:
    """Returns every value measured on one dataset: a model version's traffic, or a data fingerprint."""
    table = DatasetMetric
    query = select(table).where(
        table.model_name == model_name, table.source == source, table.dataset == dataset
    )
    return list(await session.scalars(query.order_by(table.window_end, table.id)))


async def measured_sources(session: AsyncSession) -> list[tuple[str, str]]:
    """Returns each model and source of which anything is kept, in order.

    By steps over the index, one for each pair: the table grows with every run, and the pairs do not.
    """
    table = DatasetMetric
    pair = (table.model_name, table.source)
    found: list[tuple[str, str]] = []
    while True:
        query = select(*pair).order_by(*pair).limit(1)
        if found:
            query = query.where(tuple_(*pair) > found[-1])
        row = (await session.execute(query)).first()
        if row is None:
            return found
        found.append((row[0], row[1]))


async def of_window(
    session: AsyncSession, wanted: Series, *, dataset: str, window_start: datetime, window_end: datetime
) -> list[DatasetMetric]:
    """Returns the values of a series over exactly this window of one dataset."""
    query = select(DatasetMetric).where(
        DatasetMetric.dataset == dataset,
        DatasetMetric.window_start == window_start,
        DatasetMetric.window_end == window_end,
    )
    for name, value in asdict(wanted).items():
        if value is not None:
            query = query.where(getattr(DatasetMetric, name) == value)
    return list(await session.scalars(query.order_by(DatasetMetric.family, DatasetMetric.feature)))


class Largest(NamedTuple):
    """The largest value that any feature of a family had over a window."""

    family: str
    window_end: datetime
    dataset: str
    value: float


async def largest_of_families(
    session: AsyncSession, wanted: Series, *, since: datetime, limit: int = 2000
) -> list[Largest]:
    """Returns for each family and window since then the largest value of a series, oldest first."""
    table = DatasetMetric
    query = select(table.family, table.window_end, table.dataset, func.max(table.value)).where(
        table.window_end >= since
    )
    for name, value in asdict(wanted).items():
        if value is not None:
            query = query.where(getattr(table, name) == value)
    query = query.group_by(table.family, table.window_end, table.dataset)
    query = query.order_by(table.window_end.desc(), table.family).limit(limit)
    return [Largest(*row) for row in (await session.execute(query)).all()][::-1]
