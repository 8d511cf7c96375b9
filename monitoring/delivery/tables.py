"""Messages of the outbox, as lines for people and as JSON for scripts."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from records.repositories import receipts
from records.tables import WebhookDelivery
from records.tables.webhook_deliveries import DeliveryStatus


def print_deliveries(found: Sequence[WebhookDelivery]) -> None:
    """Prints messages, one a line; an id that is folded into a column could not be copied."""
    if not found:
        sys.stdout.write("No message.\n")
        return
    channels = max(len(each.channel) for each in found)
    changes = max(len(each.change) for each in found)
    for each in found:
        times = "once" if each.attempts == 1 else f"{each.attempts} times"
        tried = f", tried {times}" if each.attempts and each.channel != receipts.CHANNEL else ""
        said = f": {answer(each)}" if answer(each) else ""
        sys.stdout.write(
            f"{each.id}  {_moment(each.created_at)}  {each.channel:{channels}}  {each.change:{changes}}  "
            f"{_status(each)}{tried}{said}\n"
        )


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
    if delivery.channel == receipts.CHANNEL:
        return "received"
    if delivery.status == DeliveryStatus.PENDING:
        return f"due at {_moment(delivery.next_attempt_at)}"
    return delivery.status


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
