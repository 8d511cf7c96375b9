"""What a sender address is to the history: one spelling, one length limit, one rule for the domain.

Events, training retrieval and online lookup all come through `address`, so that a sender has one key.
"""

import re
from typing import Final, NamedTuple

MAX_ADDRESS_CHARACTERS: Final = 320
"""64 before the @, the @, and 255 after it (RFC 5321, 4.5.3.1); a longer From has no history."""

_NOT_IN_AN_ADDRESS: Final = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
"""Control characters, blanks and lone surrogates: no key of a store may hold them."""


class Address(NamedTuple):
    """The keys of one sender in the history; an empty one has no history and gets the defaults."""

    sender: str
    domain: str


NOBODY: Final = Address("", "")


def address(text: str) -> Address:
    """Returns the history keys of a From address: lower case, and what stands after its last @.

    What cannot be an address (empty, over-long, with blanks or control characters inside) is `NOBODY`: to
    shorten or repair it would give one stranger the history of another.
    """
    if len(text) > 2 * MAX_ADDRESS_CHARACTERS:
        return NOBODY
    sender = text.strip().lower()
    if not sender or len(sender) > MAX_ADDRESS_CHARACTERS or _NOT_IN_AN_ADDRESS.search(sender):
        return NOBODY
    _, at, domain = sender.rpartition("@")
    return Address(sender, domain if at else "")
