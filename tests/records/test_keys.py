"""Keys sort by the time they were made."""

from records.keys import time_ordered_uuid


def test_keys_are_version_7_and_rise() -> None:
    """Ten thousand keys made one after another rise to within a microsecond, and none is there twice."""
    keys = [time_ordered_uuid() for _ in range(10_000)]
    assert {key.version for key in keys} == {7}
    assert {key.variant for key in keys} == {"specified in RFC 4122"}
    assert len(set(keys)) == len(keys)
    instants = [key.int >> 64 for key in keys]  # milliseconds, version, and fraction of a millisecond
    assert instants == sorted(instants)
