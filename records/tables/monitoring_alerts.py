"""`monitoring_alerts`: what is wrong, once for each cause, however often it is seen."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from records.columns import CleanString, UtcDateTime, json_column
from records.tables.registry import (
    NAME_LENGTH,
    REASON_LENGTH,
    VERSION_LENGTH,
    Row,
    in_an_environment,
    not_blank,
    one_of,
)


class AlertKind(StrEnum):
    """What kind of thing is wrong."""

    DATA_DRIFT = "data_drift"
    CONCEPT_DRIFT = "concept_drift"
    PERFORMANCE_DEGRADATION = "performance_degradation"
    STALE_FEATURES = "stale_features"
    PREDICTION_LOSS = "prediction_loss"
    MODEL_ERROR = "model_error"


class Severity(StrEnum):
    """How soon a person should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class MonitoringAlert(Row):
    """One cause, from the run that first saw it until it is resolved.

    An alert is open while `resolved_at` is null, acknowledged or not; the database holds that a key has at
    most one open alert.
    """

    __tablename__ = "monitoring_alerts"

    key: Mapped[str] = mapped_column(CleanString(4 * NAME_LENGTH))
    """The stable key of the cause: model, environment, kind and family, joined by `/`."""

    model_name: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    environment: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    kind: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    family: Mapped[str] = mapped_column(CleanString(NAME_LENGTH), default="")
    model_version: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    severity: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    summary: Mapped[str] = mapped_column(CleanString(REASON_LENGTH))
    """What moved and by how much, in a sentence."""

    details: Mapped[dict[str, Any]] = mapped_column(json_column())
    """The latest figures: features, examples, effect, where the report lies."""

    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    occurrences: Mapped[int] = mapped_column(default=1)
    quiet_runs: Mapped[int] = mapped_column(default=0)
    """Runs in a row that did not see the cause."""

    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    muted_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Nobody is told before this instant; it carries over to the next alert of the same key."""

    history: Mapped[list[dict[str, Any]]] = mapped_column(json_column())
    """Who did what, when and why, oldest first: `{at, action, actor, reason}`."""

    __table_args__ = (
        in_an_environment(),
        one_of("kind", AlertKind),
        one_of("severity", Severity),
        not_blank("key"),
        CheckConstraint("occurrences >= 1", name="occurrences"),
        CheckConstraint("quiet_runs >= 0", name="quiet_runs"),
        Index(
            "uq_monitoring_alerts_open_key",
            "key",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        # The lists: newest first, of one key, of one model and environment.
        Index(None, "key", "opened_at"),
        Index(None, "model_name", "environment", "opened_at"),
    )

    @property
    def is_open(self) -> bool:
        """True until the alert is resolved."""
        return self.resolved_at is None
