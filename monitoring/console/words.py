"""Values as people read them, for templates."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from monitoring.alerts.text import trouble
from monitoring.drift.words import percent

_STEPS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_LONG: Final = timedelta(days=60)


def ago(moment: datetime, now: datetime) -> str:
    """Returns a moment as seen from `now`: `5 min ago`, `in 3 h`; its day if that is long ago."""
    apart = now - moment
    if abs(apart) > _LONG:
        return f"{moment.astimezone(UTC):%-d %b %Y}"
    seconds = int(abs(apart.total_seconds()))
    if seconds < 1:
        return "now"
    unit, size = next((unit, size) for unit, size in _STEPS if seconds >= size)
    told = f"{seconds // size} {unit}"
    return f"{told} ago" if apart > timedelta(0) else f"in {told}"


def exact(moment: datetime) -> str:
    """Returns a moment in full."""
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC"


def lasted(apart: timedelta) -> str:
    """Returns how long something took: `4 min 8 s`."""
    seconds = int(apart.total_seconds())
    parts: list[str] = []
    for unit, size in _STEPS:
        if seconds >= size and len(parts) < 2:  # noqa: PLR2004
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(parts) or "under 1 s"


def seconds(value: float) -> str:
    """Returns a short time: `3.2 ms`, `1.4 s`."""
    if value >= 1 or value == 0:
        return f"{value:.1f} s" if value else "0"
    return f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"  # noqa: PLR2004


def count(value: float) -> str:
    """Returns a number with its thousands apart."""
    return f"{value:,.0f}"


def figure(value: Any) -> str:
    """Returns a measured value with four digits, or whatever it is as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else pretty(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def pretty(value: Any) -> str:
    """Returns JSON with its lines indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def plain(value: str) -> str:
    """Returns the name of a kind or a figure without its underscores."""
    return value.replace("_", " ")


def instant(text: Any) -> datetime | None:
    """Returns the instant that a text of ISO 8601 names, or None if it names none."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    each.__name__: each
    for each in (ago, exact, lasted, seconds, count, figure, instant, pretty, plain, percent, trouble)
}
