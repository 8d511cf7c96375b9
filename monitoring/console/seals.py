"""Sealed words: what the console gives to a browser to keep, and knows again when it comes back.

A seal is an HMAC-SHA256 under a secret of ours and a purpose; words that were sealed for one purpose are no
good for another. They can be read by whoever holds them, and changed by nobody.
"""

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any, Final

from kit.files import locked, write_text

_LONGEST: Final = 2048
_BYTES: Final = 32
_PRIVATE: Final = 0o600
_WAIT_SECONDS: Final = 30


def sealed(secret: bytes, purpose: str, words: dict[str, Any]) -> str:
    """Returns `words` with their seal, in letters, digits, `-`, `_` and one dot."""
    body = urlsafe_b64encode(json.dumps(words, separators=(",", ":")).encode("utf-8")).rstrip(b"=")
    return f"{body.decode('ascii')}.{mark(secret, purpose, body)}"


def unsealed(secret: bytes, purpose: str, text: str) -> dict[str, Any] | None:
    """Returns the words that were sealed for `purpose`, or None if `text` is nothing of ours."""
    body, _, given = text.partition(".")
    if len(text) > _LONGEST or not text.isascii():
        return None
    if not hmac.compare_digest(given, mark(secret, purpose, body.encode("ascii"))):
        return None
    words: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return words


def mark(secret: bytes, purpose: str, body: bytes) -> str:
    """Returns the seal of `body`, in hex."""
    return hmac.digest(secret, purpose.encode("ascii") + b"\0" + body, "sha256").hex()


def kept_secret(path: Path) -> bytes:
    """Returns the secret in the file `path`, made if there is none; only its owner may read it.

    Raises:
        Locked: another process has been making it for half a minute.
    """
    with locked(path.with_suffix(".lock"), what="Making the console's secret", timeout_seconds=_WAIT_SECONDS):
        if not path.exists():
            write_text(path, secrets.token_hex(_BYTES) + "\n", mode=_PRIVATE)
        return path.read_bytes().strip()
