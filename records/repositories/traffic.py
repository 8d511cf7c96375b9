"""What answered lately, by the hour: read by the index of windows, and never the whole table."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Text, func, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from records.repositories.prediction_windows import Period, Served
from records.tables import PredictionLog

_VERSIONS: Final = 500
"""Versions that are looked for at most."""


class Answered(NamedTuple):
    """A version in an environment, and when it made its latest prediction."""

    served: Served
    latest: datetime


class Hour(NamedTuple):
    """What a version answered from `start` on for an hour."""

    start: datetime
    answers: int
    defaulted: int
    """Answers from features of which some were defaults."""
    mirrored: int
    """Copies of another environment's requests, beside the answers: they reached nobody."""


async def answered(session: AsyncSession) -> list[Answered]:
    """Returns every version that ever predicted in an environment, ordered by model, environment, version.

    It leaps from one to the next in the index, so it costs a few reads for each, however many rows there are.
    """
    log = PredictionLog
    key = (log.model_name, log.environment, log.model_version)
    found: list[Answered] = []
    after: tuple[Any, ...] | None = None
    while len(found) < _VERSIONS:
        query = select(*key).order_by(*key).limit(1)
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))
        row = (await session.execute(query)).first()
        if row is None:
            break
        after = tuple(row)
        served = Served(row[0], Environment(row[1]), row[2])
        latest = await session.scalar(
            select(log.created_at).where(*_of(served)).order_by(log.created_at.desc()).limit(1)
        )
        if latest is not None:
            found.append(Answered(served, latest))
    return found


async def hourly(session: AsyncSession, served: Served, since: datetime) -> list[Hour]:
    """Returns the hours since `since` in which `served` predicted, oldest first."""
    log = PredictionLog
    if session.get_bind().dialect.name == "postgresql":
        hour = func.to_char(func.timezone("UTC", log.created_at), "YYYY-MM-DD HH24")
    else:
        hour = func.substr(type_coerce(log.created_at, Text), 1, 13)
    answers = log.shadow_of.is_(None)
    query = (
        select(
            hour.label("hour"),
            func.count().filter(answers),
            func.count().filter(answers & (log.defaulted_features > 0)),
            func.count().filter(~answers),
        )
        .where(*_of(served), log.created_at >= since)
        .group_by("hour")
        .order_by("hour")
    )
    return [
        Hour(datetime.strptime(start, "%Y-%m-%d %H").replace(tzinfo=UTC), *counts)
        for start, *counts in (await session.execute(query)).all()
    ]


async def latencies(session: AsyncSession, served: Served, period: Period, *, limit: int) -> list[float]:
    """Returns the seconds that the latest `limit` answers of a period took, the newest first."""
    log = PredictionLog
    query = select(log.latency_seconds).where(*_of(served), log.shadow_of.is_(None))
    if period.since is not None:
        query = query.where(log.created_at >= period.since)
    if period.until is not None:
        query = query.where(log.created_at < period.until)
    return list(await session.scalars(query.order_by(log.created_at.desc()).limit(limit)))


def _of(served: Served) -> tuple[Any, ...]:
    log = PredictionLog
    return (
        log.model_name == served.model_name,
        log.environment == served.environment,
        log.model_version == served.model_version,
    )
