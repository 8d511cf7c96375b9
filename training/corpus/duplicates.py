"""Which messages are copies of each other: exactly, or nearly by the words in them.

Near copies are found by MinHash with locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3) over runs of three tokens of the text that the model sees, and each
candidate pair is then compared exactly. A cluster is what hangs together by such pairs.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from datasketch import MinHash, MinHashLSH

from contracts.corpus import RAW, SHA256
from feature_repo.message import MessageLimits, parse
from feature_repo.message_features import extract
from feature_repo.settings import FeatureRepoSettings
from kit.files import locked, replaced
from kit.terminal import tracked
from training.corpus.code import reader_digest
from training.corpus.fingerprint import fingerprint

THRESHOLD: Final = 0.8
"""Jaccard similarity of two messages' shingles from which on they are near copies."""

VERSION: Final = 2
"""Raise it when the same messages would come to other clusters: cached ones are then made anew."""

_SHINGLE_TOKENS: Final = 3
_PERMUTATIONS: Final = 128
# Candidates cost little, as each is compared exactly, and a missed pair may part two copies. Of 1,837 near
# pairs of the reference corpus 0.8 misses 10, and 0.7 none, in the same time.
_CANDIDATE_THRESHOLD: Final = 0.7
_MISS_WEIGHTS: Final = (0.1, 0.9)
_KEY: Final = b"sluice.clusters"
_WAIT_SECONDS: Final = 600


class Clusters(NamedTuple):
    """For each row of a corpus, in its order: the cluster's name, and how many tokens the message has.

    A cluster is named after the smallest id in it, so a name does not depend on the order of rows.
    """

    names: list[str]
    token_counts: list[int]


def clusters_of(corpus: pa.Table, folder: Path, reading: FeatureRepoSettings) -> Clusters:
    """Returns the clusters of `corpus`, kept in `folder` for as long as corpus, code and limits stay.

    `reading` says how much of a message is read, and how many tokens of it are kept.

    Extraction and comparison take about 2 ms a message; reading them again takes milliseconds.
    """
    limits, most = MessageLimits.of(reading), reading.message_max_tokens
    key = f"{VERSION}:{reader_digest()}:{fingerprint(corpus)}:{limits}:{most}"
    path = folder / "clusters.parquet"
    with locked(folder / ".clusters.lock", what="Clustering", timeout_seconds=_WAIT_SECONDS):
        known = _read(path, key)
        if known is None:
            raws = tracked(corpus[RAW].to_pylist(), "Extracting text", corpus.num_rows)
            texts = [extract(parse(raw, limits), max_tokens=most).text for raw in raws]
            names = cluster(corpus[SHA256].to_pylist(), texts)
            known = pa.table(
                {
                    SHA256: corpus[SHA256].combine_chunks(),
                    "cluster": names,
                    "tokens": pa.array([len(text.split()) for text in texts], pa.int64()),
                }
            )
            with replaced(path) as part:
                pq.write_table(known.replace_schema_metadata({_KEY: key.encode()}), part)
    found = dict(
        zip(
            known[SHA256].to_pylist(),
            zip(known["cluster"].to_pylist(), known["tokens"].to_pylist(), strict=True),
            strict=True,
        )
    )
    rows = [found[identity] for identity in corpus[SHA256].to_pylist()]
    return Clusters([name for name, _ in rows], [count for _, count in rows])


def cluster(ids: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Returns the cluster name of each message: the smallest id among those that hang together with it.

    `texts` are tokens with single spaces between. A message without text is a cluster of its own: that two
    messages say nothing does not make them copies.
    """
    shingles = {identity: _shingles(text) for identity, text in zip(ids, texts, strict=True)}
    index = MinHashLSH(threshold=_CANDIDATE_THRESHOLD, num_perm=_PERMUTATIONS, weights=_MISS_WEIGHTS)
    forest = _Forest(shingles)
    for identity in tracked(sorted(shingles), "Comparing messages", len(shingles)):
        own = shingles[identity]
        if not own:
            continue
        sketch = MinHash(num_perm=_PERMUTATIONS, hashfunc=_low_bits)
        sketch.update_batch(own)
        for candidate in index.query(sketch):
            if _jaccard(own, shingles[candidate]) >= THRESHOLD:
                forest.join(identity, candidate)
        index.insert(identity, sketch)
    return [forest.root(identity) for identity in ids]


class _Forest:
    """Union-find in which the smallest member is the root."""

    def __init__(self, members: Iterable[str]) -> None:
        self._parent = {member: member for member in members}

    def root(self, member: str) -> str:
        while self._parent[member] != member:
            self._parent[member] = self._parent[self._parent[member]]
            member = self._parent[member]
        return member

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first


def _shingles(text: str) -> frozenset[int]:
    tokens = text.split()
    runs = range(max(len(tokens) - _SHINGLE_TOKENS + 1, min(len(tokens), 1)))
    return frozenset(_hash64(" ".join(tokens[start : start + _SHINGLE_TOKENS])) for start in runs)


def _hash64(shingle: str) -> int:
    return int.from_bytes(hashlib.blake2b(shingle.encode(), digest_size=8).digest(), "big")


def _low_bits(value: int) -> int:
    return value & 0xFFFFFFFF


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _read(path: Path, key: str) -> pa.Table | None:
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        return None
    return table if (table.schema.metadata or {}).get(_KEY) == key.encode() else None
