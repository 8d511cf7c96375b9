"""What a key looks like: `sluice_<id>_<secret><checksum>`, 67 letters, digits and underscores.

The prefix and the checksum let scanners of source code find a leaked key, and tell it from noise, without
asking anybody; the form is the one that GitHub described for its tokens in 2021. A key holds no character
that a shell, a URL or a double click would treat in a way of its own.
"""

import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "sluice"
ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH: Final = 10
SECRET_LENGTH: Final = 43
"""62^43 is a little more than 2^256."""
CHECKSUM_LENGTH: Final = 6

_ID_ALPHABET: Final = string.digits + string.ascii_lowercase
_KEY: Final = re.compile(
    rf"{PREFIX}_([0-9a-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}", re.ASCII
)


def new_id() -> str:
    """Returns a random public part of a key."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(ID_LENGTH))


def new_key(key_id: str) -> str:
    """Returns a key with a new secret of 256 random bits."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    body = f"{PREFIX}_{key_id}_{secret}"
    return body + _checksum(body)


def id_of(text: str) -> str | None:
    """Returns the public part of a key, or None if `text` has not the form of one."""
    matched = _KEY.fullmatch(text)
    return None if matched is None else matched[1]


def is_whole(text: str) -> bool:
    """Tells whether `text` has the form of a key and its checksum, that is whether it was copied whole."""
    return id_of(text) is not None and _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]


def _checksum(body: str) -> str:
    rest = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
