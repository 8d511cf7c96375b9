"""`prediction_logs`: one row for each answer the gateway gave. The message itself is never stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from records.columns import CleanString, FiniteNumber, Numbers, UtcDateTime, json_column
from records.tables.registry import (
    NAME_LENGTH,
    REQUEST_ID_LENGTH,
    VERSION_LENGTH,
    Row,
    in_an_environment,
    not_blank,
)

SENDER_LENGTH = 320
"""64 characters before the @, the @, 255 after it (RFC 5321, section 4.5.3.1)."""


class PredictionLog(Row):
    """What was answered, by which model version, from which numbers."""

    __tablename__ = "prediction_logs"

    request_id: Mapped[str] = mapped_column(CleanString(REQUEST_ID_LENGTH))
    """The caller's request id, or ours; the same one twice is one row."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the prediction was made."""

    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the row was written: after an outage much later than `created_at`. Readers that must see each row
    once go by this one."""

    environment: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    model_name: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    model_version: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))

    schema_digest: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    """The feature schema version of the model that answered (contracts.features.SCHEMA_DIGEST)."""

    message_sha256: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    """Hex SHA-256 of the message; null for a workload without messages."""

    sender: Mapped[str | None] = mapped_column(CleanString(SENDER_LENGTH))
    sender_domain: Mapped[str | None] = mapped_column(CleanString(SENDER_LENGTH))
    subject_sha256: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    """Hex SHA-256 of the subject: enough to count distinct ones in the sender history."""

    numeric: Mapped[Sequence[float]] = mapped_column(Numbers)
    """The numbers the model saw, in the order of its contract (24 for spam-detector)."""

    text_statistics: Mapped[dict[str, Any]] = mapped_column(json_column())
    """Numbers about the text by name: its length, the share of known tokens, and so on."""

    probability: Mapped[float] = mapped_column(FiniteNumber)
    """Of the positive class; of the answered class where there are more than two."""

    threshold: Mapped[float | None] = mapped_column(FiniteNumber)
    """The probability from which the verdict is positive; null where there are more than two classes."""

    label: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    """The verdict: a word of contracts.labels for spam-detector, a class name for another workload."""

    latency_seconds: Mapped[float] = mapped_column(FiniteNumber)

    defaulted_features: Mapped[int] = mapped_column(default=0)
    """How many numbers are defaults because the feature store was slow or down, or there is none; a sender
    whom it does not know counts nothing."""

    shadow_of: Mapped[str | None] = mapped_column(CleanString(REQUEST_ID_LENGTH))
    """The request id that the caller was answered under, if this row is the mirrored copy of it."""

    __table_args__ = (
        in_an_environment(),
        not_blank("request_id"),
        not_blank("label"),
        CheckConstraint("probability >= 0 AND probability <= 1", name="probability"),
        CheckConstraint("threshold >= 0 AND threshold <= 1", name="threshold"),
        CheckConstraint("latency_seconds >= 0", name="latency_seconds"),
        CheckConstraint("defaulted_features >= 0", name="defaulted_features"),
        CheckConstraint("shadow_of <> request_id", name="shadow_of"),
        UniqueConstraint("request_id"),
        # The window of one model version: drift, live performance, flip preview.
        Index("ix_prediction_logs_window", "model_name", "environment", "model_version", "created_at"),
        # The cursor of the sender events.
        Index(None, "recorded_at", "id"),
        Index(
            None,
            "shadow_of",
            sqlite_where=text("shadow_of IS NOT NULL"),
            postgresql_where=text("shadow_of IS NOT NULL"),
        ),
    )
