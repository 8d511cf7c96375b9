"""`webhook_deliveries`: the outbox. A message is a row first, and is then sent at least once."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from records.columns import CleanString, UtcDateTime, json_column
from records.tables.registry import NAME_LENGTH, REASON_LENGTH, VERSION_LENGTH, Row, not_blank, one_of


class DeliveryStatus(StrEnum):
    """Where a message stands; `dead` waits for a person."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class WebhookDelivery(Row):
    """One message to one channel about one change of state."""

    __tablename__ = "webhook_deliveries"

    deduplication_key: Mapped[str] = mapped_column(CleanString(4 * NAME_LENGTH))
    """Alert, change and channel: the same change is never queued twice for a channel."""

    alert_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("monitoring_alerts.id"))
    """The alert it tells about; null for a test message."""

    channel: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    change: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    """What happened: opened, worsened, acknowledged, resolved, test."""

    payload: Mapped[dict[str, Any]] = mapped_column(json_column())
    status: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    attempts: Mapped[int] = mapped_column(default=0)

    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it is due. A claim moves this to the end of its lease, so that the messages of a sender that died
    become due again by themselves."""

    claim: Mapped[UUID | None] = mapped_column(Uuid)
    """The claim that last took it; only its holder may say how the attempt ended."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_status: Mapped[int | None]
    """The HTTP status of the latest attempt; null if there was no answer."""

    last_error: Mapped[str | None] = mapped_column(CleanString(REASON_LENGTH))

    __table_args__ = (
        one_of("status", DeliveryStatus),
        not_blank("channel"),
        not_blank("deduplication_key"),
        CheckConstraint("attempts >= 0", name="attempts"),
        CheckConstraint("(delivered_at IS NULL) = (status <> 'delivered')", name="delivered"),
        UniqueConstraint("deduplication_key"),
        Index(
            "ix_webhook_deliveries_due",
            "next_attempt_at",
            "id",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        Index(None, "alert_id"),
        # Dead letters, newest first.
        Index(None, "status", "created_at"),
    )
