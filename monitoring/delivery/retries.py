"""What follows an attempt: done, another one, or the dead letters.

Exponential back-off with full jitter (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/):
each wait is anything between nothing and its bound, so that many senders do not come back at once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

FIRST_WAIT: Final = timedelta(seconds=10)
LONGEST_WAIT: Final = timedelta(minutes=10)
LONGEST_ASKED_WAIT: Final = timedelta(hours=1)
"""The longest `Retry-After` that is honoured."""
LEAST_ATTEMPTS: Final = 12
"""Attempts, about half an hour of them, before a message is given up however old it is: one that lay while no
sender ran, or was sent again by a person, has its chance too."""

_TRY_AGAIN: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that did not arrive."""

    why: str
    """In words that may be kept and shown."""
    lasting: bool
    """The next attempt would end as this one, until a person changes something."""
    http_status: int | None = None
    retry_after: timedelta | None = None


def is_lasting(status: int) -> bool:
    """Tells whether an answer of `status` stays the same: a redirect, or a refusal that is not about load."""
    return (
        HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TRY_AGAIN
    )


def next_attempt(
    failed: Failed, *, attempts: int, age: timedelta, give_up: timedelta, draw: float
) -> timedelta | None:
    """Returns how long to wait after the `attempts`th attempt, or None to give up.

    `age` is the message's; `draw`, from 0 to 1, is chance.
    """
    if failed.lasting or (age >= give_up and attempts >= LEAST_ATTEMPTS):
        return None
    if failed.retry_after is not None:
        return min(failed.retry_after, LONGEST_ASKED_WAIT)
    return draw * bound(attempts)


def bound(attempts: int) -> timedelta:
    """Returns the longest wait after the `attempts`th attempt."""
    doublings = min(attempts - 1, 30)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def asked_wait(header: str, now: datetime) -> timedelta | None:
    """Returns what a `Retry-After` header asks for, in seconds or as a date; None if it makes no sense."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), int(LONGEST_ASKED_WAIT.total_seconds())))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta(0))
