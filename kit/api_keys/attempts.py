"""Wrong keys by the address that they come from: after so many in a minute, further ones are refused.

Guessing a key of 256 random bits is hopeless at any pace. What this stops is noise: a client that goes on
with a wrong key, or a scanner. So a right key is let in whatever its address did before, since many people
may share one address.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 60
ADDRESSES: Final = 10_000
"""Addresses remembered; beyond them the oldest are forgotten, which costs us nothing but their noise."""
_IPV6_PREFIX: Final = 64
_ADDRESS_LENGTH: Final = 64


class Attempts:
    """Counts wrong keys of each address, each in a minute of its own that begins with its first one."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._counted: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def count(self, address: str) -> int:
        """Counts one wrong key, and returns 0, or the seconds to wait of an address that had its share."""
        now = self._clock()
        origin = origin_of(address)
        count, ends = self._counted.get(origin, (0, now + WINDOW_SECONDS))
        if now >= ends:
            self._counted.pop(origin)
            count, ends = 0, now + WINDOW_SECONDS
        if count == self._per_minute:
            log.warning("wrong_keys", address=origin, count=count, window_seconds=WINDOW_SECONDS)
        self._counted[origin] = count + 1, ends
        if len(self._counted) > ADDRESSES:
            self._counted.popitem(last=False)
        return math.ceil(ends - now) if count >= self._per_minute else 0


def origin_of(address: str) -> str:
    """Returns what is counted as one address: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_ADDRESS_LENGTH]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))
