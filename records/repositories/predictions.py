"""Writing predictions, finding one, and reading on from where a reader stopped."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)
from sqlalchemy import case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from records.columns import NUMBERS_MAX, clean_text
from records.errors import RecordRejected
from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables.prediction_logs import SENDER_LENGTH, PredictionLog
from records.tables.registry import NAME_LENGTH, REQUEST_ID_LENGTH, VERSION_LENGTH

_ROWS_PER_STATEMENT: Final = 1000
_STATISTICS_MAX: Final = 100
_FLOAT32_MAX: Final = (2 - 2**-23) * 2.0**127


def _cleaned(value: Any) -> Any:
    return clean_text(value) if isinstance(value, str) else value


Clean = Annotated[str, BeforeValidator(_cleaned)]
"""Text as its column will hold it: a lone surrogate would fail before it got there."""
Version = Annotated[Clean, Field(min_length=1, max_length=VERSION_LENGTH)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Float32 = Annotated[float, Field(ge=-_FLOAT32_MAX, le=_FLOAT32_MAX, allow_inf_nan=False)]
StatisticName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=VERSION_LENGTH)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NewPrediction(BaseModel):
    """One answer to be remembered; the fields are columns of `prediction_logs`.

    It is checked when it is made, against all that the table refuses, so that none fails the batch it is in.
    It goes through JSON and back unchanged (`model_dump_json`, `model_validate_json`), for a spool on disk.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    request_id: Clean = Field(pattern=r"\S", max_length=REQUEST_ID_LENGTH)
    created_at: AwareDatetime
    environment: Environment
    model_name: Clean = Field(min_length=1, max_length=NAME_LENGTH)
    model_version: Version
    schema_digest: Version
    message_sha256: Sha256 | None = None
    sender: Clean | None = Field(default=None, max_length=SENDER_LENGTH)
    sender_domain: Clean | None = Field(default=None, max_length=SENDER_LENGTH)
    subject_sha256: Sha256 | None = None
    numeric: tuple[Float32, ...] = Field(max_length=NUMBERS_MAX)
    text_statistics: dict[StatisticName, FiniteFloat] = Field(
        default_factory=dict, max_length=_STATISTICS_MAX
    )
    probability: Probability
    threshold: Probability | None = None
    label: Clean = Field(pattern=r"\S", max_length=VERSION_LENGTH)
    latency_seconds: float = Field(ge=0, allow_inf_nan=False)
    defaulted_features: int = Field(default=0, ge=0, le=NUMBERS_MAX)
    shadow_of: Clean | None = Field(default=None, max_length=REQUEST_ID_LENGTH)

    @model_validator(mode="after")
    def _is_no_shadow_of_itself(self) -> Self:
        if self.shadow_of == self.request_id:
            raise ValueError("shadow_of names the prediction itself")
        return self

    @classmethod
    def checked(cls, **values: Any) -> "NewPrediction":
        """Returns the prediction of `values`.

        Raises:
            RecordRejected: a value is missing, unknown or out of its bounds.
        """
        try:
            return cls(**values)
        except ValidationError as exc:
            # Of the place only the field: below it are names that came with the message.
            reasons = "; ".join(
                f"{', '.join(map(str, item['loc'][:1]))}: {item['msg']}" for item in exc.errors()
            )
            raise RecordRejected(f"This prediction cannot be stored: {reasons}.") from exc


class Cursor(NamedTuple):
    """How far a reader has come; `recorded_at` and `id` of the last row it saw."""

    recorded_at: datetime
    id: UUID


async def insert_many(
    session: AsyncSession, predictions: Sequence[NewPrediction], *, recorded_at: datetime
) -> int:
    """Writes `predictions`, leaves out request ids that are there already, and returns how many were new."""
    statement = upsert(session, PredictionLog).on_conflict_do_nothing(index_elements=["request_id"])
    statement = statement.returning(PredictionLog.id)
    new = 0
    for start in range(0, len(predictions), _ROWS_PER_STATEMENT):
        rows = [
            {"id": time_ordered_uuid(), "recorded_at": recorded_at, **dict(prediction)}
            for prediction in predictions[start : start + _ROWS_PER_STATEMENT]
        ]
        # The connection and not the session: rows of the ORM would cost more than the insert itself.
        answer = await (await session.connection()).execute(statement, rows)
        new += len(answer.all())
    return new


async def by_request_id(session: AsyncSession, request_id: str) -> PredictionLog | None:
    """Returns the prediction that was answered under `request_id`, or None."""
    return await session.scalar(select(PredictionLog).where(PredictionLog.request_id == request_id))


async def shadows_of(session: AsyncSession, request_id: str) -> list[PredictionLog]:
    """Returns what the other environment answered to mirrored copies of `request_id`."""
    query = select(PredictionLog).where(PredictionLog.shadow_of == request_id).order_by(PredictionLog.id)
    return list(await session.scalars(query))


async def recorded_after(
    session: AsyncSession, cursor: Cursor | None, *, until: datetime, limit: int = 1000
) -> list[PredictionLog]:
    """Returns the next rows after `cursor` that were recorded before `until`, oldest first, without shadows.

    The order is that of writing and not of `created_at`: a row that waited in a spool comes late, and is not
    missed. Let `until` lie a minute behind now: a transaction that is still open may yet commit rows with an
    earlier `recorded_at`, and a cursor that had passed them would never see them.
    """
    query = select(PredictionLog).where(PredictionLog.recorded_at < until, PredictionLog.shadow_of.is_(None))
    if cursor is not None:
        query = query.where(
            tuple_(PredictionLog.recorded_at, PredictionLog.id) > tuple_(cursor.recorded_at, cursor.id)
        )
    query = query.order_by(PredictionLog.recorded_at, PredictionLog.id).limit(limit)
    return list(await session.scalars(query))


def cursor_after(rows: Sequence[PredictionLog], cursor: Cursor | None) -> Cursor | None:
    """Returns the cursor after `rows`, which `recorded_after(…, cursor)` gave."""
    return Cursor(rows[-1].recorded_at, rows[-1].id) if rows else cursor


async def any_recorded(session: AsyncSession) -> bool:
    """Tells whether any prediction was ever recorded."""
    return await session.scalar(select(PredictionLog.id).limit(1)) is not None


async def count_recorded(session: AsyncSession, since: datetime, until: datetime) -> int:
    """Returns how many rows were written from `since` on and before `until`, mirrored copies among them."""
    query = select(func.count()).where(PredictionLog.recorded_at >= since, PredictionLog.recorded_at < until)
    return await session.scalar(query) or 0


class Recorded(NamedTuple):
    """What was written between two instants: of one model in one environment."""

    model_name: str
    environment: Environment
    rows: int
    defaulted: int
    """Those that were answered with defaults, because history was not to be had."""
    with_sender: int
    model_version: str
    """The latest of them, by name, where there are several."""


async def recorded_between(session: AsyncSession, since: datetime, until: datetime) -> list[Recorded]:
    """Returns what was written from `since` on and before `until`, mirrored copies left out."""
    log = PredictionLog
    query = (
        select(
            log.model_name,
            log.environment,
            func.count(),
            func.sum(case((log.defaulted_features > 0, 1), else_=0)),
            func.count(log.sender),
            func.max(log.model_version),
        )
        .where(log.recorded_at >= since, log.recorded_at < until, log.shadow_of.is_(None))
        .group_by(log.model_name, log.environment)
        .order_by(log.model_name, log.environment)
    )
    return [
        Recorded(model, Environment(place), rows, int(defaulted), senders, version)
        for model, place, rows, defaulted, senders, version in await session.execute(query)
    ]


async def examples_between(
    session: AsyncSession, model_name: str, environment: Environment, since: datetime, until: datetime
) -> list[str]:
    """Returns the latest three request ids of answers with defaults, as `recorded_between` counts them."""
    log = PredictionLog
    query = (
        select(log.request_id)
        .where(
            log.recorded_at >= since,
            log.recorded_at < until,
            log.shadow_of.is_(None),
            log.model_name == model_name,
            log.environment == environment,
            log.defaulted_features > 0,
        )
        .order_by(log.recorded_at.desc())
        .limit(3)
    )
    return list(await session.scalars(query))
