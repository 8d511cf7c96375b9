"""The data fingerprint: one hash for a set of rows, whatever their order."""

import hashlib
import json
from typing import Final

import pyarrow as pa

from contracts.corpus import DATE, GROUP, LABEL, SENDER, SENDER_DOMAIN, SHA256

_PREFIX: Final = "sha256"


def fingerprint(corpus: pa.Table) -> str:
    """Returns `sha256:<hex>` over the rows of a normalised corpus, independent of their order.

    A row counts by its id (which is a hash of its bytes), label, group, date, sender and sender domain. Each
    row is hashed by itself, and the sorted row hashes are hashed together: two corpora have one fingerprint
    exactly if they hold the same rows.
    """
    dates = corpus[DATE].cast(pa.int64()).to_pylist()
    columns = [corpus[name].to_pylist() for name in (SHA256, LABEL, GROUP, SENDER, SENDER_DOMAIN)]
    rows = sorted(
        hashlib.sha256(json.dumps(row).encode()).digest() for row in zip(*columns, dates, strict=True)
    )
    return f"{_PREFIX}:{hashlib.sha256(b''.join(rows)).hexdigest()}"
