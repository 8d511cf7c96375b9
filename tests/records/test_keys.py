"""Keys sort by the time they were made."""

from datetime import UTC, datetime

from records.keys import time_ordered_uuid

START = 1_772_366_400_123_456_789  # 2026-03-01 12:00:00.123 UTC, in nanoseconds


def test_keys_of_one_microsecond_after_another_rise() -> None:
    """As numbers, as text, and as the hexadecimal text that SQLite keeps."""
    keys = [time_ordered_uuid(START + 1000 * number) for number in range(5000)]
    assert keys == sorted(keys)
    assert [key.hex for key in keys] == sorted(key.hex for key in keys)


def test_keys_are_version_7_with_the_milliseconds_in_front() -> None:
    """What RFC 9562 says, and what other tools can read."""
    key = time_ordered_uuid(START)
    assert (key.version, key.variant) == (7, "specified in RFC 4122")
    made = datetime.fromtimestamp((key.int >> 80) / 1000, UTC)
    assert made.isoformat(timespec="milliseconds") == "2026-03-01T12:00:00.123+00:00"


def test_keys_of_one_instant_differ() -> None:
    """62 random bits tell them apart."""
    assert len({time_ordered_uuid(START) for _ in range(1000)}) == 1000
