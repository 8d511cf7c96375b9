"""What training measures of itself for `sluice bench`."""

import mailbox
import tempfile
from pathlib import Path
from typing import Final

from contracts.corpus import LABEL, RAW
from kit.benchmark import Figure, median_seconds
from kit.home import Home
from training.corpus.store import load

_REPEATS: Final = 3


def corpus_load(home: Home) -> list[Figure]:
    """Returns how fast the corpus is read from Parquet, against the same messages in an mbox.

    Both hand over every message as bytes; the peer is the standard library's `mailbox`.

    Raises:
        CorpusMissing: there is no corpus to read.
    """
    corpus, _ = load(home.corpus)
    rows = corpus.num_rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.mbox"
        _write_mbox(path, corpus[RAW].to_pylist())
        ours = median_seconds(lambda: _read_parquet(home.corpus), repeats=_REPEATS)
        theirs = median_seconds(lambda: _read_mbox(path, rows), repeats=_REPEATS)
    return [
        Figure(
            name="corpus load, Parquet",
            value=rows / ours,
            unit="messages/s",
            peer="standard library mailbox.mbox",
            ratio=theirs / ours,
            note=f"{rows:,} messages; {rows / theirs:,.0f} messages/s from the mbox",
        )
    ]


def _read_parquet(folder: Path) -> list[tuple[bytes, str]]:
    corpus, _ = load(folder)
    return list(zip(corpus[RAW].to_pylist(), corpus[LABEL].to_pylist(), strict=True))


def _read_mbox(path: Path, expected: int) -> list[bytes]:
    box = mailbox.mbox(path, create=False)
    try:
        messages = [box.get_bytes(key) for key in box.iterkeys()]
    finally:
        box.close()
    if len(messages) < expected:
        raise ValueError(f"The mbox gave {len(messages)} of {expected} messages.")
    return messages


def _write_mbox(path: Path, messages: list[bytes]) -> None:
    box = mailbox.mbox(path)
    try:
        for message in messages:
            box.add(message)
    finally:
        box.close()
