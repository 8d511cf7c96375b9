"""What the sender history is made of: a message that came, and a label that became known.

Both are facts with an identity of their own, so that hearing one twice changes nothing. Times are whole
seconds since 1970 in UTC: Feast's SQLite store keeps no fractions, and a boundary must be the same in every
store. A message's time is rounded down and a label's up, so that neither is seen too early.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from contracts.labels import Label
from feature_repo.addresses import address
from kit.errors import Bug

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Times outside EARLIEST to LATEST are not believed; pandas' nanoseconds end in 2262."""


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A message of a known sender came at `time`; `message_id` is the hex SHA-256 of its raw bytes."""

    message_id: str
    sender: str
    domain: str
    time: int
    subject_hash: str
    has_link: bool


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """Someone said at `time` what the message is. Of two that disagree, the later one is believed."""

    message_id: str
    label: Label
    time: int


def message_event(
    *, message_id: str, sender: str, at: datetime | None, subject: str, has_link: bool
) -> MessageEvent | None:
    """Returns the event of a message, or None if its sender or its time cannot be believed."""
    sender_key, domain_key = address(sender)
    if not sender_key or at is None or not EARLIEST <= _aware(at) < LATEST:
        return None
    return MessageEvent(
        message_id=message_id,
        sender=sender_key,
        domain=domain_key,
        time=math.floor(at.timestamp()),
        subject_hash=subject_hash(subject),
        has_link=has_link,
    )


def label_event(*, message_id: str, label: Label, at: datetime) -> LabelEvent:
    """Returns the event of a label that was given at `at`."""
    return LabelEvent(message_id=message_id, label=label, time=math.ceil(_aware(at).timestamp()))


def subject_hash(subject: str) -> str:
    """Returns 16 hex digits that tell subjects apart: the first ones of `subject_sha256`."""
    return subject_sha256(subject)[:16]


def subject_sha256(subject: str) -> str:
    """Returns the hex SHA-256 of a subject, whatever its case and blanks, so that no text need be kept."""
    normal = " ".join(subject.casefold().split())
    return hashlib.sha256(normal.encode("utf-8", "replace")).hexdigest()


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise Bug("An event time has no time zone; events are in UTC.")
    return at
