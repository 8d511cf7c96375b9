"""Times as people type them: `30m`, `24h`, `90d`, or a day."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from kit.errors import UsageError

_DURATION: Final = re.compile(r"([0-9]{1,6})([mhd])", re.ASCII)
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LONGEST: Final = timedelta(days=3660)


def duration(text: str) -> timedelta:
    """Returns the time that `text` names; `0` is none.

    Raises:
        UsageError: it names none, or more than ten years.
    """
    if text == "0":
        return timedelta()
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise UsageError(f"{text!r} is no time.", next_step="Write 30m, 24h, 7d, or 0 for none.")
    found = int(matched[1]) * _UNITS[matched[2]]
    if found > _LONGEST:
        raise UsageError(f"{text} is longer than ten years.", next_step="Write a shorter time, or none.")
    return found


def end(text: str, now: datetime) -> datetime:
    """Returns the end of what `text` names: of a day in UTC (`2027-01-31`), or of a time from `now` (`90d`).

    Raises:
        UsageError: it names neither, or something that is over.
    """
    if _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
            found = datetime.combine(day, time(), UTC) + timedelta(days=1)
        except (ValueError, OverflowError) as exc:
            raise UsageError(f"There is no day {text}.", next_step="Write it as 2027-01-31.") from exc
    else:
        found = now + duration(text)
    if found <= now:
        raise UsageError(f"{text} is over already.", next_step="Name a later end, or none.")
    return found
