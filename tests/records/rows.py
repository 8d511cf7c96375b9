"""Rows for tests: valid ones, with what a test is about changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.environments import Environment
from contracts.features import NUMERIC_FEATURES, SCHEMA_DIGEST
from contracts.tensors import SPAM_DETECTOR
from records.repositories.prediction_windows import Served
from records.repositories.predictions import NewPrediction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVED = Served(SPAM_DETECTOR, Environment.PRODUCTION, "7")


def after(seconds: float) -> datetime:
    """Returns the instant `seconds` after noon."""
    return NOON + timedelta(seconds=seconds)


def prediction(number: int = 0, **changed: Any) -> NewPrediction:
    """Returns a valid prediction; each `number` is another request, a second later."""
    values = {
        "request_id": f"request-{number}",
        "created_at": after(number),
        "environment": SERVED.environment,
        "model_name": SERVED.model_name,
        "model_version": SERVED.model_version,
        "schema_digest": SCHEMA_DIGEST,
        "message_sha256": f"{number:064x}",
        "sender": "someone@example.org",
        "sender_domain": "example.org",
        "subject_sha256": f"{number:064x}",
        "numeric": tuple(float(index + number) for index in range(len(NUMERIC_FEATURES))),
        "text_statistics": {"token_count": 10.0 + number},
        "probability": 0.75,
        "threshold": 0.5,
        "label": "spam",
        "latency_seconds": 0.002,
    }
    return NewPrediction.checked(**(values | changed))
