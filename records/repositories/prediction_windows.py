"""Windows of predictions as NumPy arrays, for drift and live performance. Needs NumPy; the gateway does not."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import LargeBinary, Select, Text, cast, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from kit.errors import Bug
from records.tables import Feedback, PredictionLog


class Served(NamedTuple):
    """A model version in an environment: what a window is a window of."""

    model_name: str
    environment: Environment
    model_version: str


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
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    shadows: bool = False,
) -> Window:
    """Returns the predictions of `served` made in [since, until), at most the latest `limit` of them.

    Mirrored copies are left out unless `shadows`: their answers reached nobody.
    """
    log = PredictionLog
    query: Select[Any] = _of(
        select(
            log.request_id,
            log.created_at,
            type_coerce(log.numeric, LargeBinary),
            _as_text(session),
            log.probability,
            log.label,
            log.defaulted_features,
        ),
        served,
        since,
        until,
        shadows=shadows,
    )
    query = query.order_by(log.created_at.desc(), log.id.desc()).limit(limit)
    rows = (await session.execute(query)).all()[::-1]
    ids, created, numeric, statistics, probabilities, labels, defaulted = _columns(rows, 7)
    return Window(
        list(ids),
        _instants(created),
        _matrix(numeric),
        _series(statistics),
        np.array(probabilities, dtype=np.float64),
        list(labels),
        np.array(defaulted, dtype=np.int64),
    )


async def labelled(
    session: AsyncSession, served: Served, *, since: datetime | None = None, until: datetime | None = None
) -> Labelled:
    """Returns the predictions of `served` made in [since, until) for which there is feedback."""
    log = PredictionLog
    query: Select[Any] = _of(
        select(log.request_id, log.created_at, log.probability, log.label, Feedback.label),
        served,
        since,
        until,
        shadows=False,
    ).join(Feedback, Feedback.request_id == log.request_id)
    rows = (await session.execute(query.order_by(log.created_at, log.id))).all()
    ids, created, probabilities, answered, true = _columns(rows, 5)
    return Labelled(
        list(ids),
        _instants(created),
        np.array(probabilities, dtype=np.float64),
        list(answered),
        list(true),
    )


def _of(
    query: Select[Any], served: Served, since: datetime | None, until: datetime | None, *, shadows: bool
) -> Select[Any]:
    log = PredictionLog
    query = query.where(
        log.model_name == served.model_name,
        log.environment == served.environment,
        log.model_version == served.model_version,
    )
    if since is not None:
        query = query.where(log.created_at >= since)
    if until is not None:
        query = query.where(log.created_at < until)
    return query if shadows else query.where(log.shadow_of.is_(None))


def _as_text(session: AsyncSession) -> Any:
    # One JSON parse for the whole window is several times faster than one for each row.
    if session.get_bind().dialect.name == "postgresql":
        return cast(PredictionLog.text_statistics, Text)
    return type_coerce(PredictionLog.text_statistics, Text)


def _columns(rows: Sequence[Any], count: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count


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
