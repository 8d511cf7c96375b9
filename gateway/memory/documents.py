"""What the gateway tells of a prediction that it remembers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from contracts.environments import Environment
from contracts.labels import Label
from contracts.tensors import SPAM_DETECTOR
from records.tables import Feedback, PredictionLog

CLASSES: Final = {SPAM_DETECTOR: tuple(Label)}
"""The classes of models that are known here; feedback on another model may name any class."""


class Verdict(BaseModel):
    """What one version answered."""

    model_config = ConfigDict(frozen=True)

    request_id: str
    created_at: datetime
    """When it was answered."""
    environment: Environment
    model: str
    version: str
    verdict: str
    probability: float
    """Of the positive class; of the answered class where there are more than two."""
    threshold: float | None
    """The probability from which the verdict is positive; null where the likeliest class decides."""
    latency_ms: float


class Said(BaseModel):
    """What a person said that the message really was."""

    model_config = ConfigDict(frozen=True)

    label: str
    created_at: datetime
    submitted_by: str | None
    """The name of the key."""


class Remembered(Verdict):
    """A prediction as it is remembered. Who sent the message, and what it said, is not told."""

    schema_digest: str
    """The feature schema of the version that answered."""
    message_sha256: str | None
    """Hex SHA-256 of the message; null for a model without messages."""
    defaulted_features: int
    """How many of its numbers were defaults."""
    shadow_of: str | None
    """The request that this one is a mirrored copy of."""
    feedback: Said | None
    shadows: tuple[Verdict, ...]
    """What the other environment answered to mirrored copies, as far as the key may read there."""


def remembered(
    prediction: PredictionLog, feedback: Feedback | None, shadows: Sequence[PredictionLog]
) -> Remembered:
    """Returns the document of a prediction."""
    said = feedback and Said(
        label=feedback.label, created_at=feedback.created_at, submitted_by=feedback.submitted_by
    )
    return Remembered(
        **verdict(prediction).model_dump(),
        schema_digest=prediction.schema_digest,
        message_sha256=prediction.message_sha256,
        defaulted_features=prediction.defaulted_features,
        shadow_of=prediction.shadow_of,
        feedback=said,
        shadows=tuple(verdict(shadow) for shadow in shadows),
    )


def verdict(prediction: PredictionLog) -> Verdict:
    """Returns what was answered, and by what."""
    return Verdict(
        request_id=prediction.request_id,
        created_at=prediction.created_at,
        environment=Environment(prediction.environment),
        model=prediction.model_name,
        version=prediction.model_version,
        verdict=prediction.label,
        probability=prediction.probability,
        threshold=prediction.threshold,
        latency_ms=round(prediction.latency_seconds * 1000, 3),
    )
