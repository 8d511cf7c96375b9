"""What people said, and what of it the sender history has not seen yet."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import and_, case, or_, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from records.columns import UtcDateTime
from records.keys import time_ordered_uuid
from records.repositories.predictions import Cursor
from records.repositories.upserts import upsert
from records.tables import Feedback, PredictionLog


class Outcome(StrEnum):
    """What a submission changed."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class LabelledPrediction(NamedTuple):
    """A prediction and its true label; `known_at` is when both were in the tables."""

    prediction: PredictionLog
    feedback: Feedback
    known_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeedback:
    """What a person said; the fields are columns of `feedback`."""

    request_id: str
    label: str
    created_at: datetime
    submitted_by: str | None = None


async def submit(session: AsyncSession, feedback: NewFeedback, *, recorded_at: datetime) -> Outcome:
    """Keeps the true label of a request and returns what that changed; the latest submission wins.

    The same label again changes nothing, and so does an older submission that arrives late.
    """
    insert = upsert(session, Feedback).values(
        id=(key := time_ordered_uuid()), recorded_at=recorded_at, **asdict(feedback)
    )
    new = insert.excluded
    statement = insert.on_conflict_do_update(
        index_elements=["request_id"],
        set_={
            "label": new.label,
            "submitted_by": new.submitted_by,
            "created_at": new.created_at,
            "recorded_at": new.recorded_at,
        },
        where=and_(Feedback.label != new.label, Feedback.created_at <= new.created_at),
    ).returning(Feedback.id)
    written = (await (await session.connection()).execute(statement)).scalar_one_or_none()
    if written is None:
        return Outcome.UNCHANGED
    return Outcome.CREATED if written == key else Outcome.CHANGED


async def by_request_id(session: AsyncSession, request_id: str) -> Feedback | None:
    """Returns the feedback on `request_id`, or None."""
    return await session.scalar(select(Feedback).where(Feedback.request_id == request_id))


async def known_after(
    session: AsyncSession, cursor: Cursor | None, *, until: datetime, limit: int = 1000
) -> list[LabelledPrediction]:
    """Returns the next labelled predictions after `cursor` that were known before `until`, oldest first.

    One is known once both its prediction and its feedback are recorded, in whichever order they came; a
    corrected label makes it known anew. The cursor is `known_at` and the feedback's id. Let `until` lie a
    minute behind now, as for `predictions.recorded_after`.
    """
    log = PredictionLog
    later = case((Feedback.recorded_at > log.recorded_at, Feedback.recorded_at), else_=log.recorded_at)
    known_at = type_coerce(later, UtcDateTime)
    query = (
        select(log, Feedback, known_at)
        .join(Feedback, Feedback.request_id == log.request_id)
        .where(Feedback.recorded_at < until, log.recorded_at < until, log.shadow_of.is_(None))
        .order_by(known_at, Feedback.id)
        .limit(limit)
    )
    if cursor is not None:
        query = query.where(
            # The first condition is implied by the second, and is one that the indexes can answer.
            or_(Feedback.recorded_at >= cursor.recorded_at, log.recorded_at >= cursor.recorded_at),
            tuple_(known_at, Feedback.id) > tuple_(cursor.recorded_at, cursor.id),
        )
    return [LabelledPrediction(*row) for row in (await session.execute(query)).all()]
