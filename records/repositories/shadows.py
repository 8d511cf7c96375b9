"""Pairs of answers to one message: what the caller was told, and what a shadow of it said."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from records.repositories.prediction_windows import Served
from records.tables import PredictionLog


class Pairs(NamedTuple):
    """How many messages two versions were both asked about, and on how many their verdicts differ."""

    asked: int
    differing: int


async def pairs(session: AsyncSession, first: Served, second: Served, *, since: datetime) -> Pairs:
    """Returns the pairs of `first` and `second` since then, whichever of them was the shadow."""
    told, mirrored = aliased(PredictionLog), aliased(PredictionLog)
    found = [0, 0]
    for one, other in ((first, second), (second, first)):
        query = (
            select(func.count(), func.count().filter(told.label != mirrored.label))
            .select_from(mirrored)
            .join(told, told.request_id == mirrored.shadow_of)
            .where(mirrored.created_at >= since)
        )
        for table, served in ((told, one), (mirrored, other)):
            query = query.where(
                table.model_name == served.model_name,
                table.environment == served.environment,
                table.model_version == served.model_version,
            )
        count, differing = (await session.execute(query)).one()
        found = [found[0] + count, found[1] + differing]
    return Pairs(*found)


async def answers(session: AsyncSession, served: Served, *, since: datetime) -> int:
    """Returns how many messages `served` was asked about since then; shadows count."""
    log = PredictionLog
    query = select(func.count()).where(
        log.model_name == served.model_name,
        log.environment == served.environment,
        log.model_version == served.model_version,
        log.created_at >= since,
    )
    return await session.scalar(query) or 0
