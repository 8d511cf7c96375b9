"""Messages of the outbox, as a table for people and as JSON for scripts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape

from kit.terminal import print_table
from records.tables import WebhookDelivery
from records.tables.webhook_deliveries import DeliveryStatus

_COLUMNS = ("delivery", "queued (UTC)", "channel", "change", "status", "attempts", "answer")


def print_deliveries(title: str, found: Sequence[WebhookDelivery]) -> None:
    """Prints messages, one a line."""
    rows = [
        (
            str(each.id),
            _moment(each.created_at),
            each.channel,
            each.change,
            _status(each),
            each.attempts,
            escape(answer(each)),
        )
        for each in found
    ]
    print_table(title, _COLUMNS, rows)


def answer(delivery: WebhookDelivery) -> str:
    """Returns how its latest attempt ended, in words; empty before the first."""
    if delivery.last_error:
        return delivery.last_error
    return f"HTTP {delivery.last_status}" if delivery.last_status else ""


def document(delivery: WebhookDelivery) -> dict[str, Any]:
    """Returns a message as JSON: all but what it says."""
    return {
        "id": str(delivery.id),
        "alert_id": str(delivery.alert_id) if delivery.alert_id else None,
        "channel": delivery.channel,
        "change": delivery.change,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "queued_at": delivery.created_at.isoformat(),
        "next_attempt_at": delivery.next_attempt_at.isoformat()
        if delivery.status == DeliveryStatus.PENDING
        else None,
        "delivered_at": delivery.delivered_at.isoformat() if delivery.delivered_at else None,
        "http_status": delivery.last_status,
        "error": delivery.last_error,
    }


def _status(delivery: WebhookDelivery) -> str:
    if delivery.status == DeliveryStatus.PENDING:
        return f"due {_moment(delivery.next_attempt_at)}"
    return delivery.status


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
