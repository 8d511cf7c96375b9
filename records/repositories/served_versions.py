"""Which model versions answered, and which were measured last."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from records.columns import UtcDateTime
from records.repositories.prediction_windows import Period, Served
from records.tables import DatasetMetric, PredictionLog


class Answers(NamedTuple):
    """What one version answered in a period."""

    served: Served
    rows: int
    latest: datetime


async def answering(
    session: AsyncSession,
    *,
    model: str | None = None,
    environment: Environment | None = None,
    since: datetime | None = None,
) -> list[Answers]:
    """Returns for each model and environment the version that answered last, and its answers `since` then.

    Mirrored copies do not count. Ordered by model and environment.
    """
    log = PredictionLog
    query = (
        select(
            log.model_name,
            log.environment,
            log.model_version,
            func.count(),
            func.max(log.created_at, type_=UtcDateTime()),
        )
        .where(log.shadow_of.is_(None))
        .group_by(log.model_name, log.environment, log.model_version)
    )
    if model is not None:
        query = query.where(log.model_name == model)
    if environment is not None:
        query = query.where(log.environment == environment)
    if since is not None:
        query = query.where(log.created_at >= since)
    latest: dict[tuple[str, str], Answers] = {}
    for name, place, version, rows, at in (await session.execute(query)).all():
        found = Answers(Served(name, Environment(place), version), rows, at)
        before = latest.get((name, place))
        if before is None or before.latest < found.latest:
            latest[name, place] = found
    return [latest[key] for key in sorted(latest)]


async def count(session: AsyncSession, served: Served, period: Period) -> int:
    """Returns how many predictions of `served` were made in `period`."""
    log = PredictionLog
    query = select(func.count()).where(
        log.model_name == served.model_name,
        log.environment == served.environment,
        log.model_version == served.model_version,
        log.shadow_of.is_(None),
    )
    if period.since is not None:
        query = query.where(log.created_at >= period.since)
    if period.until is not None:
        query = query.where(log.created_at < period.until)
    return await session.scalar(query) or 0


async def measured(
    session: AsyncSession, metric: str, *, model: str | None = None, environment: Environment | None = None
) -> list[Served]:
    """Returns for each model and environment the version that `metric` was measured of last."""
    table = DatasetMetric
    query = select(table.model_name, table.source, table.dataset).where(table.metric == metric)
    if model is not None:
        query = query.where(table.model_name == model)
    if environment is not None:
        query = query.where(table.source == environment.value)
    rows = (await session.execute(query.order_by(table.window_end, table.id))).all()
    last = {(name, source): version for name, source, version in rows}
    return [Served(name, Environment(source), version) for (name, source), version in sorted(last.items())]
