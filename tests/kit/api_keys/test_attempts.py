"""Wrong keys by address: counted by network, in bounded memory."""

import pytest

from kit.api_keys import attempts
from kit.api_keys.attempts import Attempts, origin_of


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_what_counts_as_one_address(address: str, origin: str) -> None:
    """One who has an IPv6 network has 2^64 addresses of it."""
    assert origin_of(address) == origin


def test_addresses_of_one_network_share_their_attempts() -> None:
    """And those of another have their own."""
    counted = Attempts(2)
    assert counted.count("2001:db8::1") == counted.count("2001:db8::2") == 0
    assert counted.count("2001:db8::3") > 0
    assert counted.count("2001:db8:0:1::1") == 0


def test_a_minute_later_it_begins_anew() -> None:
    """The minute is that of the first wrong key; going on does not prolong it."""
    now = 1000.0
    counted = Attempts(1, lambda: now)
    assert counted.count("192.0.2.7") == 0
    now = 1030.2
    assert counted.count("192.0.2.7") == 30
    now = 1060.0
    assert counted.count("192.0.2.7") == 0


def test_many_addresses_take_bounded_memory() -> None:
    """The oldest are forgotten."""
    counted = Attempts(1)
    for number in range(attempts.ADDRESSES + 500):
        counted.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(counted._counted) == attempts.ADDRESSES
    assert counted.count("10.0.0.0") == 0
    assert counted.count("10.0.0.0") > 0
