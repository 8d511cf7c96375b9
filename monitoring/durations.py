"""Durations as people write them: `30m`, `24h`, `7d`."""

import re
from datetime import timedelta
from typing import Final

from kit.errors import UsageError
from monitoring.settings import DURATION

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """Returns the time that `text` says.

    Raises:
        UsageError: it is not a whole number of seconds, minutes, hours or days.
    """
    if not re.fullmatch(DURATION, text):
        raise UsageError(
            f"{text!r} is not a duration.",
            next_step="Write a whole number and a unit, such as 30m, 24h or 7d.",
        )
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
