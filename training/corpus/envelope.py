"""Date and sender of a message, until feature_repo/message.py is there."""

import email
import email.policy
from datetime import UTC, datetime
from email.utils import parseaddr, parsedate_to_datetime
from typing import NamedTuple


class Envelope(NamedTuple):
    """Who sent a message and when."""

    date: datetime | None
    sender: str
    sender_domain: str


def envelope(raw: bytes) -> Envelope:
    """Returns date (UTC), sender and sender domain of `raw`."""
    head = raw.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0] + b"\n\n"
    message = email.message_from_bytes(head, policy=email.policy.compat32)
    sender = parseaddr(str(message.get("From", "")))[1].lower()
    try:
        date = parsedate_to_datetime(str(message.get("Date", "")))
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return Envelope(None, sender, sender.partition("@")[2])
    believable = datetime(1990, 1, 1, tzinfo=UTC) <= date <= datetime(2038, 1, 1, tzinfo=UTC)
    return Envelope(date if believable else None, sender, sender.partition("@")[2])
