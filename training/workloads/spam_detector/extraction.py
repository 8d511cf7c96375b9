"""Messages to rows by the extraction that serving calls: in parallel, and kept for the next time."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.bundle import TEXT_PREFIX
from contracts.corpus import RAW
from contracts.facts import CHARACTER_COUNT, PLACEHOLDER_SHARE, TOKEN_COUNT, UNIQUE_SHARE
from contracts.features import MESSAGE_FEATURES
from feature_repo.message import MessageLimits, parse
from feature_repo.message_features import extract
from feature_repo.settings import FeatureRepoSettings
from kit.files import locked, replaced
from kit.terminal import tracked
from training.corpus.code import reader_digest
from training.corpus.fingerprint import fingerprint

STATISTICS: Final = tuple(
    f"{TEXT_PREFIX}{name}" for name in (TOKEN_COUNT, CHARACTER_COUNT, UNIQUE_SHARE, PLACEHOLDER_SHARE)
)
"""Facts of the text that drift is measured on, in the order of `TextStatistics`; what a model knows of it is
added with the model (`training.reference`)."""

_KEY: Final = b"sluice.extraction"
_FILE: Final = "messages.parquet"
_WAIT_SECONDS: Final = 600
_CHUNK: Final = 64
_WORTH_A_POOL: Final = 1000
"""From so many messages on, starting processes pays."""
_MOST_PROCESSES: Final = 8


class Extracted(NamedTuple):
    """N messages, in the order in which they were given."""

    texts: NDArray[np.object_]
    """Object [N, 1] of str."""
    numbers: NDArray[np.float32]
    """Float32 [N, 16], in the order of MESSAGE_FEATURES."""
    statistics: NDArray[np.float64]
    """Float64 [N, 4], in the order of STATISTICS."""
    subjects: list[str]


class _Row(NamedTuple):
    text: str
    numbers: list[float]
    statistics: list[float]
    subject: str


def extracted(raws: Sequence[bytes], settings: FeatureRepoSettings) -> Extracted:
    """Returns the features of raw messages; about 1 ms a message and process."""
    rows = list(tracked(_rows(raws, settings), "Extracting features", len(raws)))
    texts = np.array([row.text for row in rows], dtype=object).reshape(-1, 1)
    numbers = np.array([row.numbers for row in rows], dtype=np.float32).reshape(-1, len(MESSAGE_FEATURES))
    statistics = np.array([row.statistics for row in rows], dtype=np.float64).reshape(-1, len(STATISTICS))
    return Extracted(texts, numbers, statistics, [row.subject for row in rows])


def extracted_once(corpus: pa.Table, folder: Path, settings: FeatureRepoSettings) -> Extracted:
    """Returns the features of a corpus, kept in `folder` for as long as corpus, code and limits stay."""
    key = f"{reader_digest()}:{fingerprint(corpus)}:{MessageLimits.of(settings)}".encode()
    path = folder / _FILE
    with locked(folder / ".messages.lock", what="Extracting features", timeout_seconds=_WAIT_SECONDS):
        known = _kept(path, key)
        if known is None:
            known = extracted(corpus[RAW].to_pylist(), settings)
            with replaced(path) as part:
                pq.write_table(_table(known).replace_schema_metadata({_KEY: key}), part, compression="zstd")
    return known


def _rows(raws: Sequence[bytes], settings: FeatureRepoSettings) -> Iterator[_Row]:
    processes = min(os.cpu_count() or 1, _MOST_PROCESSES)
    chunks = [raws[at : at + _CHUNK] for at in range(0, len(raws), _CHUNK)]
    if len(raws) < _WORTH_A_POOL or processes == 1:
        for chunk in chunks:
            yield from _extract(chunk, settings)
        return
    # Spawned and not forked: Arrow and Ray have threads, and a fork would keep their locks for ever.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for rows in pool.map(_extract, chunks, [settings] * len(chunks)):
            yield from rows


def _extract(raws: Sequence[bytes], settings: FeatureRepoSettings) -> list[_Row]:
    limits = MessageLimits.of(settings)
    rows = []
    for raw in raws:
        message = parse(raw, limits)
        features = extract(message, max_tokens=settings.message_max_tokens)
        facts = features.text_statistics
        statistics = [
            float(facts.token_count),
            float(facts.character_count),
            facts.unique_share,
            facts.placeholder_share,
        ]
        rows.append(_Row(features.text, features.numeric.tolist(), statistics, message.subject))
    return rows


def _table(rows: Extracted) -> pa.Table:
    return pa.table(
        {
            "text": pa.array(rows.texts[:, 0], pa.large_string()),
            "numbers": pa.array(rows.numbers.tolist(), pa.list_(pa.float32(), len(MESSAGE_FEATURES))),
            "statistics": pa.array(rows.statistics.tolist(), pa.list_(pa.float64(), len(STATISTICS))),
            "subject": pa.array([_storable(subject) for subject in rows.subjects], pa.large_string()),
        }
    )


def _kept(path: Path, key: bytes) -> Extracted | None:
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        return None
    if (table.schema.metadata or {}).get(_KEY) != key:
        return None
    return Extracted(
        np.array(table["text"].to_pylist(), dtype=object).reshape(-1, 1),
        np.array(table["numbers"].to_pylist(), dtype=np.float32).reshape(-1, len(MESSAGE_FEATURES)),
        np.array(table["statistics"].to_pylist(), dtype=np.float64).reshape(-1, len(STATISTICS)),
        table["subject"].to_pylist(),
    )


def _storable(subject: str) -> str:
    """Returns a subject without lone surrogates, which no UTF-8 file can hold."""
    return subject.encode("utf-8", "replace").decode("utf-8")
