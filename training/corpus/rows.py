"""From what a source holds to the two tables of a corpus: what is kept, and what is in quarantine."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa

from contracts import corpus as column
from feature_repo.message import MessageLimits, parse
from kit.terminal import tracked
from training.corpus.found import Found, Reason, reason_against

SCHEMA: Final = pa.schema(
    [
        pa.field(column.SHA256, pa.string(), nullable=False),
        pa.field(column.RAW, pa.binary(), nullable=False),
        pa.field(column.LABEL, pa.string(), nullable=False),
        pa.field(column.GROUP, pa.string(), nullable=False),
        pa.field(column.DATE, pa.timestamp("us", tz="UTC")),
        pa.field(column.SENDER, pa.string(), nullable=False),
        pa.field(column.SENDER_DOMAIN, pa.string(), nullable=False),
    ]
)
"""The corpus on disk; names in contracts/corpus.py."""

QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("where", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("bytes_read", pa.int64(), nullable=False),
        pa.field("excerpt", pa.binary(), nullable=False),
    ]
)
"""What was not kept: why, where it stood, and enough to look at it; `sha256` is over the bytes read."""

_EXCERPT_BYTES: Final = 4096


class Normalised(NamedTuple):
    """Both tables, and how often the same bytes came again under the same label."""

    kept: pa.Table
    quarantined: pa.Table
    repeated: int

    @property
    def read(self) -> int:
        """Entries that the source held: each is kept, in quarantine, or a repetition of a kept one."""
        return int(self.kept.num_rows) + int(self.quarantined.num_rows) + self.repeated

    @property
    def reasons(self) -> dict[str, int]:
        """Entries in quarantine by reason."""
        return dict(sorted(Counter(self.quarantined["reason"].to_pylist()).items()))


def normalise(entries: Iterable[Found], *, max_bytes: int, limits: MessageLimits) -> Normalised:
    """Returns what `entries` come to; both tables are in an order that does not depend on theirs.

    The same bytes are kept once, in the first group by name, and their repetitions are counted. If they came
    under both labels, all copies go to quarantine. Dates and senders are read within `limits`.
    """
    candidates: dict[str, list[Found]] = {}
    quarantined: list[tuple[Reason, Found]] = []
    for found in entries:
        reason = reason_against(found, max_bytes)
        if reason is None:
            candidates.setdefault(hashlib.sha256(found.raw).hexdigest(), []).append(found)
        else:
            quarantined.append((reason, found))
    kept: list[dict[str, object]] = []
    repeated = 0
    for identity, copies in tracked(sorted(candidates.items()), "Normalising messages", len(candidates)):
        if len({copy.label for copy in copies}) > 1:
            quarantined += [(Reason.CONFLICTING_LABELS, copy) for copy in copies]
            continue
        repeated += len(copies) - 1
        first = min(copies, key=lambda copy: (copy.group, copy.where))
        kept.append(_row(identity, first, limits))
    return Normalised(
        pa.Table.from_pylist(kept, schema=SCHEMA),
        pa.Table.from_pylist(
            sorted((_quarantine_row(*item) for item in quarantined), key=_quarantine_order),
            schema=QUARANTINE_SCHEMA,
        ),
        repeated,
    )


def _row(identity: str, found: Found, limits: MessageLimits) -> dict[str, object]:
    message = parse(found.raw, limits)
    return {
        column.SHA256: identity,
        column.RAW: found.raw,
        column.LABEL: found.label,
        column.GROUP: found.group,
        column.DATE: message.date,
        column.SENDER: message.sender,
        column.SENDER_DOMAIN: message.sender_domain,
    }


def _quarantine_row(reason: Reason, found: Found) -> dict[str, object]:
    return {
        "reason": reason.value,
        "where": found.where,
        "group": found.group,
        "label": found.label,
        "sha256": hashlib.sha256(found.raw).hexdigest(),
        "bytes_read": len(found.raw),
        "excerpt": found.raw[:_EXCERPT_BYTES],
    }


def _quarantine_order(row: dict[str, object]) -> tuple[str, str, str]:
    return str(row["reason"]), str(row["where"]), str(row["sha256"])
