"""What a channel answered, as it may be kept: short, in one line, without what opens the channel."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from monitoring.alerts.text import plain
from monitoring.delivery.channel import SIGNING_PREFIX, Channel

LENGTH: Final = 200
REDACTED: Final = "[redacted]"
_SHORTEST: Final = 6
"""Shorter parts of an address are words and numbers, and no secrets."""


def excerpt(text: str, channel: Channel) -> str:
    """Returns how `text` begins, without the channel's address, its parts, and its secret."""
    found = plain(text, len(text))
    for secret in sorted(_secrets(channel), key=len, reverse=True):
        found = re.sub(re.escape(secret), REDACTED, found, flags=re.IGNORECASE)
    return plain(found, LENGTH)


def _secrets(channel: Channel) -> Iterator[str]:
    address = channel.url.get_secret_value()
    parts = urlsplit(address)
    yield address
    for whole in (parts.path, parts.query, unquote(parts.path), unquote(parts.query)):
        yield from (each for each in (whole, *re.split(r"[/&=?]", whole)) if len(each) >= _SHORTEST)
    if channel.secret is not None:
        secret = channel.secret.get_secret_value()
        yield secret
        yield secret.removeprefix(SIGNING_PREFIX)
