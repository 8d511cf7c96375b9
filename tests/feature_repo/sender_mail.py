"""Small sender events for tests: message `name` of a sender at seconds after START."""

import hashlib
from datetime import UTC, datetime, timedelta

from contracts.labels import Label
from feature_repo.events import LabelEvent, MessageEvent, label_event, message_event

START = datetime(2002, 9, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """Returns the instant `seconds` after START."""
    return START + timedelta(seconds=seconds)


def identity(name: str) -> str:
    """Returns a message id."""
    return hashlib.sha256(name.encode()).hexdigest()


def mail(
    name: str, sender: str, seconds: float, *, subject: str = "hello", link: bool = False
) -> MessageEvent:
    """Returns the event of one message."""
    event = message_event(
        message_id=identity(name), sender=sender, at=after(seconds), subject=subject, has_link=link
    )
    assert event is not None
    return event


def verdict(name: str, label: Label, seconds: float) -> LabelEvent:
    """Returns the event of one label."""
    return label_event(message_id=identity(name), label=label, at=after(seconds))
