"""Real messages that a version was neither fitted nor tuned on, and the shift that the demo makes of them."""

import re
from collections.abc import Sequence
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from contracts import corpus as column
from kit.home import Home

_RELAY: Final = "List relay <relay@lists.example>"


class Message(NamedTuple):
    """One message of the corpus."""

    raw: bytes
    label: str
    sender: str
    at: datetime | None


def held_out(home: Home, rows: Path, *, seed: int, most: int) -> list[Message]:
    """Returns up to `most` messages of the test split of `seed`, by their ids, which are random.

    `rows` is the snapshot of the pipeline's step `features`, with the split that the version was made with.
    """
    import pyarrow.compute as pc

    from training import snapshot
    from training.corpus.store import load

    dataset = snapshot.read(rows)
    ids = sorted(dataset.rows.ids[dataset.split(seed).test].tolist())[:most]
    corpus, _ = load(home.corpus)
    wanted = corpus.filter(pc.is_in(corpus[column.SHA256], pa.array(ids)))
    return [
        Message(row[column.RAW], row[column.LABEL], row[column.SENDER], row[column.DATE])
        for row in wanted.select([column.RAW, column.LABEL, column.SENDER, column.DATE]).to_pylist()
    ]


def through_a_relay(messages: Sequence[Message]) -> list[Message]:
    """Returns the messages as a relay passes them on that hides recipients and shouts a tag in each subject.

    It is the kind of change that nobody announces: the people and the texts are the same, the heads are not.
    """
    return [message._replace(raw=_relayed(message.raw)) for message in messages]


def _relayed(raw: bytes) -> bytes:
    message = message_from_bytes(raw, policy=policy.compat32)
    subject = re.sub(r"\s+", " ", str(message.get("Subject", "")))
    for name in ("To", "Cc", "Reply-To", "Subject"):
        del message[name]
    message["Subject"] = f"[FORWARDED BY THE LIST RELAY!!!] {subject.upper()}"
    message["Reply-To"] = _RELAY
    return message.as_bytes()
