"""Traffic for tests: predictions as the gateway would record them, resampled from a bundle's reference."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.environments import Environment
from monitoring.drift.columns import Sample
from monitoring.drift.reference import Reference, answered
from records.engine import Records
from records.repositories import feedback, predictions
from records.repositories.feedback import NewFeedback
from records.repositories.predictions import NewPrediction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Change = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def after(hours: float) -> datetime:
    """Returns the instant `hours` after noon."""
    return NOON + timedelta(hours=hours)


def resampled(reference: Reference, rows: int, *, seed: int = 1) -> NDArray[np.int64]:
    """Returns numbers of rows of the reference, drawn with replacement."""
    return np.random.default_rng(seed).integers(0, len(reference.sample), rows)


def rows_of(
    reference: Reference,
    chosen: NDArray[np.int64],
    *,
    name: str = "row",
    start: datetime = NOON,
    end: datetime | None = None,
    version: str = "1",
    environment: Environment = Environment.PRODUCTION,
    numbers: Change | None = None,
    defaulted: Sequence[int] | None = None,
    **changed: Any,
) -> list[NewPrediction]:
    """Returns predictions of the chosen rows, spread evenly from `start` to an hour later, or to `end`."""
    sample: Sample = reference.sample
    contract = reference.contract
    matrix = sample.values[chosen][:, : reference.numbers].astype(np.float64)
    if numbers is not None:
        matrix = numbers(matrix)
    texts = sample.values[chosen][:, reference.numbers : reference.numbers + len(reference.statistics)]
    answers = answered(contract, reference.probabilities)[chosen]
    score = sample.values[chosen][:, [c.name for c in sample.columns].index("probability")]
    step = ((end or start + timedelta(hours=1)) - start) / len(chosen)
    return [
        NewPrediction.checked(
            **{
                "request_id": f"{name}-{at}",
                "created_at": start + at * step,
                "environment": environment,
                "model_name": contract.workload,
                "model_version": version,
                "schema_digest": contract.schema_digest,
                "numeric": tuple(matrix[at].tolist()),
                "text_statistics": dict(zip(reference.statistics, texts[at].tolist(), strict=True)),
                "probability": float(score[at]),
                "threshold": contract.threshold,
                "label": contract.classes[int(answers[at])],
                "latency_seconds": 0.002,
                "defaulted_features": 0 if defaulted is None else defaulted[at],
            }
            | changed
        )
        for at in range(len(chosen))
    ]


async def record(records: Records, rows: Sequence[NewPrediction]) -> None:
    """Writes predictions."""
    async with records.transaction() as session:
        await predictions.insert_many(session, rows, recorded_at=after(48))


async def say(records: Records, rows: Sequence[NewPrediction], labels: Sequence[str]) -> None:
    """Writes what people said of predictions."""
    async with records.transaction() as session:
        for row, label in zip(rows, labels, strict=True):
            await feedback.submit(
                session,
                NewFeedback(request_id=row.request_id, label=label, created_at=row.created_at),
                recorded_at=after(48),
            )
