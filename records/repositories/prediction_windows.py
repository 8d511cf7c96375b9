"""Windows of predictions as NumPy arrays, for drift and live performance; the gateway imports no NumPy."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import DateTime, LargeBinary, Select, Text, cast, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from kit.errors import Bug
from records.tables import Feedback, PredictionLog


class Served(NamedTuple):
    """A model version in an environment: what a window is a window of."""

    model_name: str
    environment: Environment
    model_version: str


class Period(NamedTuple):
    """From `since` to just before `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS: Final = Period()

Query = Select[*tuple[Any, ...]]


class Window(NamedTuple):
    """N predictions, oldest first."""

    request_ids: list[str]
    created_at: NDArray[np.datetime64]
    """[N], microseconds, UTC."""
    numeric: NDArray[np.float32]
    """[N, F] in the order of the model's contract."""
    text_statistics: dict[str, NDArray[np.float64]]
    """By name, [N]; NaN where a row has no such statistic."""
    probabilities: NDArray[np.float64]
    labels: list[str]
    defaulted_features: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of predictions, N."""
        return len(self.request_ids)


class Labelled(NamedTuple):
    """N predictions that a person labelled, oldest prediction first."""

    request_ids: list[str]
    created_at: NDArray[np.datetime64]
    probabilities: NDArray[np.float64]
    answered: list[str]
    """What the model said."""
    true: list[str]
    """What the person said."""

    def __len__(self) -> int:
        """The number of labelled predictions, N."""
        return len(self.request_ids)


async def window(
    session: AsyncSession,
    served: Served,
    period: Period = ALWAYS,
    *,
    limit: int | None = None,
    shadows: bool = False,
) -> Window:
    """Returns the predictions of `served` made in `period`, at most the latest `limit` of them.

    Mirrored copies are left out unless `shadows`: their answers reached nobody.
    """
    log = PredictionLog
    query = _of(
        select(
            log.request_id,
            type_coerce(log.created_at, DateTime(timezone=True)),
            type_coerce(log.numeric, LargeBinary),
            _as_text(session),
            log.probability,
            log.label,
            log.defaulted_features,
        ),
        served,
        period,
        shadows=shadows,
    )
    query = query.order_by(log.created_at.desc(), log.id.desc()).limit(limit)
    # The connection and not the session: nothing here is an object of the ORM.
    rows = (await (await session.connection()).execute(query)).all()[::-1]
    ids, created, numeric, statistics, probabilities, labels, defaulted = _columns(rows, 7)
    return Window(
        ids,
        _instants(created),
        _matrix(numeric),
        _series(statistics),
        np.array(probabilities, dtype=np.float64),
        labels,
        np.array(defaulted, dtype=np.int64),
    )


async def labelled(session: AsyncSession, served: Served, period: Period = ALWAYS) -> Labelled:
    """Returns the predictions of `served` made in `period` for which there is feedback."""
    log = PredictionLog
    query = _of(
        select(log.request_id, log.created_at, log.probability, log.label, Feedback.label),
        served,
        period,
        shadows=False,
    ).join(Feedback, Feedback.request_id == log.request_id)
    query = query.order_by(log.created_at, log.id)
    rows = (await (await session.connection()).execute(query)).all()
    ids, created, probabilities, answered, true = _columns(rows, 5)
    return Labelled(
        ids,
        _instants(created),
        np.array(probabilities, dtype=np.float64),
        answered,
        true,
    )


def _of(query: Query, served: Served, period: Period, *, shadows: bool) -> Query:
    log = PredictionLog
    query = query.where(
        log.model_name == served.model_name,
        log.environment == served.environment,
        log.model_version == served.model_version,
    )
    if period.since is not None:
        query = query.where(log.created_at >= period.since)
    if period.until is not None:
        query = query.where(log.created_at < period.until)
    return query if shadows else query.where(log.shadow_of.is_(None))


def _as_text(session: AsyncSession) -> Any:
    # One JSON parse for the whole window is several times faster than one for each row.
    if session.get_bind().dialect.name == "postgresql":
        return cast(PredictionLog.text_statistics, Text)
    return type_coerce(PredictionLog.text_statistics, Text)


def _columns(rows: Sequence[Any], count: int) -> list[list[Any]]:
    return [[row[index] for row in rows] for index in range(count)]


def _instants(times: Sequence[datetime]) -> NDArray[np.datetime64]:
    return np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[us]")


def _matrix(rows: Sequence[bytes]) -> NDArray[np.float32]:
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    if len({len(row) for row in rows}) > 1:
        raise Bug("Rows of one model version hold different counts of numbers.")
    return np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1)


def _series(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    rows: list[dict[str, float]] = json.loads(f"[{','.join(texts)}]")
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
