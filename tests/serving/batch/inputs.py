"""Messages, and the inputs that hold them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from kit.home import Home
from serving.batch.run import Outcome, Request, score
from serving.settings import ServingSettings

ENVELOPE = b"From a@b Sat Oct  5 17:23:18 2002\n"
BROKEN = (b"", b"\x00\xff\xfe", b"no header at all", b"Subject: =?utf-8?B?////?=\n\n\xc3\x28", b"{", b"[1]")
"""Bytes of which none is a message; all but the lone brace are scored."""


def messages(count: int) -> list[bytes]:
    """Returns messages of different senders, words and lengths."""
    words = ("meeting", "winner", "prize", "draft", "http://x.example/a", "review", "free", "offer")
    return [
        f"From: p{at}@d{at % 7}.example\nTo: a@b.example\nSubject: {words[at % 8]} {at}\n\n"
        f"{' '.join(words[at % 5 : 5 + at % 4]) * (1 + at % 9)}\n".encode()
        for at in range(count)
    ]


def parquet(file: Path, raws: Sequence[bytes | None], *, rows: int = 1000, first: int = 0) -> Path:
    """Writes messages with row groups of `rows` rows; their ids count from `first`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"m{first + at}" for at in range(len(raws))]
    pq.write_table(
        pa.table({"id": ids, "raw": pa.array(raws, pa.binary()), "other": ids}), file, row_group_size=rows
    )
    return file


def scored(path: Path, out: Path, bundle: Bundle, *, part_rows: int = 1000, **options: object) -> Outcome:
    """Scores without the history of senders, in a home that holds nothing."""
    request = {"model": bundle.contract.workload, "version": "1", "history": False}
    calls = {name: options.pop(name) for name in ("on_part", "planned") if name in options}
    return score(
        Home(out.parent / "home"),
        Request(path=path, out=out, **(request | options)),  # type: ignore[arg-type]
        bundle,
        serving=ServingSettings(batch_part_rows=part_rows),
        reader=FeatureRepoSettings(),
        **calls,  # type: ignore[arg-type]
    )


def answers(out: Path) -> list[dict[str, Any]]:
    """Returns every row of an output, in its order; read as any reader of Parquet does."""
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows
