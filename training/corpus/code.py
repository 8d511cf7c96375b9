"""Which code reads messages: what is kept from one run to the next must be made anew when it changes."""

import hashlib
from pathlib import Path

import feature_repo


def reader_digest() -> str:
    """Returns a SHA-256 over the source of feature_repo.

    Any of it may change what a message's date, sender or text is. It changes too often rather than too
    seldom: making a corpus anew takes seconds, and a stale one would let training and serving differ.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(feature_repo.__path__[0]).glob("*.py")):
        digest.update(b"%s\0%s\0" % (path.name.encode(), path.read_bytes()))
    return digest.hexdigest()
