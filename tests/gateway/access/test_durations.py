"""Times as people type them."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.access.durations import duration, end
from kit.errors import UsageError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hours"), [("30m", 0.5), ("24h", 24), ("7d", 168), ("0", 0), ("0h", 0), ("3660d", 87_840)]
)
def test_a_time(text: str, hours: float) -> None:
    """Minutes, hours or days."""
    assert duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["", "24", "-1d", "1w", "1.5h", "1 d", "d", "9999999d", "3661d", "٣d", "1d\n", "1D", "99999d"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UsageError):
        duration(text)


def test_a_day_is_good_to_its_end() -> None:
    """In UTC; today is not over."""
    assert end("2026-11-21", NOW) == datetime(2026, 11, 22, tzinfo=UTC)
    assert end("2027-01-31", NOW) == datetime(2027, 2, 1, tzinfo=UTC)
    assert end("12h", NOW) == NOW + timedelta(hours=12)


@pytest.mark.parametrize("text", ["2026-11-20", "2026-02-30", "9999-12-31", "0000-01-01", "0", "tomorrow"])
def test_what_is_over_or_never_comes_is_refused(text: str) -> None:
    """A key that opens nothing would be noticed only by its user."""
    with pytest.raises(UsageError):
        end(text, NOW)
