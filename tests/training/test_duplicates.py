"""Clusters of messages that are copies of each other."""

import random
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

from feature_repo.message import MessageLimits, parse
from feature_repo.message_features import extract
from feature_repo.settings import FeatureRepoSettings
from training.corpus import duplicates
from training.corpus.duplicates import Clusters, cluster, clusters_of
from training.corpus.found import Found
from training.corpus.rows import normalise

pytestmark = pytest.mark.xdist_group("clusters")  # one worker finds them

READING = FeatureRepoSettings()
"""Limits of a message, as they are by default."""

WORDS = [f"word{number}" for number in range(200)]


def text(*, changed: int = 0, start: int = 0, length: int = 100) -> str:
    """Returns `length` words of which the first `changed` are others."""
    return " ".join([f"other{start}_{number}" for number in range(changed)] + WORDS[changed:length])


def test_copies_and_near_copies_hang_together_and_others_do_not() -> None:
    """One changed word in a hundred is a near copy; half of them is another message."""
    names = cluster(["d", "c", "b", "a"], [text(), text(), text(changed=5), text(changed=50)])
    assert names == ["b", "b", "b", "a"]


@pytest.mark.parametrize(("changed", "together"), [(10, True), (11, False)])
def test_threshold_has_both_sides(changed: int, together: bool) -> None:
    """98 shingles each, of which 88 are shared, is 0.815; 87 is 0.798."""
    names = cluster(["a", "b"], [text(), text(changed=changed)])
    assert (names[0] == names[1]) is together


def test_chain_of_near_copies_is_one_cluster() -> None:
    """The ends of a chain may differ by more than the threshold: no split may part its neighbours."""
    texts = [" ".join(WORDS[start : start + 100]) for start in range(0, 40, 5)]
    assert len(set(cluster([str(number) for number in range(8)], texts))) == 1
    assert len(set(cluster(["0", "7"], [texts[0], texts[-1]]))) == 2


def test_messages_without_text_are_no_copies_of_each_other() -> None:
    """That two messages say nothing does not make them one; short ones must be equal."""
    assert cluster(["a", "b"], ["", ""]) == ["a", "b"]
    assert cluster(["a", "b", "c"], ["hello", "hello", "hello you"]) == ["a", "a", "c"]


def test_order_of_rows_does_not_matter(corpus: pa.Table) -> None:
    """Five hundred real messages, shuffled, come to the same clusters under the same names."""
    part = corpus.slice(0, 500)
    ids = part["sha256"].to_pylist()
    texts = [extract(parse(raw)).text for raw in part["raw"].to_pylist()]
    order = list(range(len(ids)))
    random.Random(3).shuffle(order)
    straight = dict(zip(ids, cluster(ids, texts), strict=True))
    shuffled = cluster([ids[row] for row in order], [texts[row] for row in order])
    assert {ids[row]: name for row, name in zip(order, shuffled, strict=True)} == straight
    assert len(set(straight.values())) < 500


def test_equal_texts_of_the_corpus_are_always_in_one_cluster(
    corpus: pa.Table, corpus_clusters: Clusters
) -> None:
    """Exact copies of the text are found without exception, and clusters hold one class each."""
    names = defaultdict(set)
    for raw, name in zip(corpus["raw"].to_pylist()[:1000], corpus_clusters.names[:1000], strict=True):
        names[extract(parse(raw)).text].add(name)
    assert all(len(found) == 1 for found in names.values())
    labels = defaultdict(set)
    for name, label in zip(corpus_clusters.names, corpus["label"].to_pylist(), strict=True):
        labels[name].add(label)
    assert max(map(len, labels.values())) == 1
    assert 5200 < len(labels) < 5500
    assert max(Counter(corpus_clusters.names).values()) < 60


def test_near_copies_are_not_missed(corpus: pa.Table) -> None:
    """Against every pair compared exactly, the index misses none of the pairs of 500 spam messages."""
    spam = corpus.filter(pa.compute.equal(corpus["label"], "spam")).slice(0, 500)
    ids = spam["sha256"].to_pylist()
    shingles = [duplicates._shingles(extract(parse(raw)).text) for raw in spam["raw"].to_pylist()]
    names = cluster(ids, [extract(parse(raw)).text for raw in spam["raw"].to_pylist()])
    pairs = [
        (one, other)
        for one in range(len(ids))
        for other in range(one)
        if 0.8 <= len(shingles[one]) / max(len(shingles[other]), 1) <= 1.25
        and duplicates._jaccard(shingles[one], shingles[other]) >= duplicates.THRESHOLD
    ]
    assert len(pairs) > 20
    assert [pair for pair in pairs if names[pair[0]] != names[pair[1]]] == []


def test_clusters_are_kept_until_the_data_or_the_code_changes(tmp_path: Path) -> None:
    """A second call reads the file; other rows, or a damaged file, make it anew."""
    found = [Found(f"Subject: {name}\n\n{text()}".encode(), "ham", "g", "") for name in "ab"]
    table = normalise(found, max_bytes=10_000, limits=MessageLimits()).kept
    first = clusters_of(table, tmp_path, READING)
    stamp = (tmp_path / "clusters.parquet").stat().st_mtime_ns
    assert clusters_of(table.take([1, 0]), tmp_path, READING) == Clusters(
        first.names[::-1], first.token_counts[::-1]
    )
    assert (tmp_path / "clusters.parquet").stat().st_mtime_ns == stamp
    assert len(clusters_of(table.slice(0, 1), tmp_path, READING).names) == 1
    (tmp_path / "clusters.parquet").write_bytes(b"PAR1 no more")
    assert clusters_of(table, tmp_path, READING) == first


def parted(*words: str) -> bytes:
    """Returns a message of one text part for each of `words`, a hundred tokens each."""
    parts = "".join(f"--b\n\n{' '.join([word] * 100)}\n" for word in words)
    return f"Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n".encode()


@pytest.mark.parametrize(
    ("limit", "value", "tokens"),
    [("message_max_parts", 1, 100), ("message_max_bytes", 1024, 195), ("message_max_tokens", 150, 150)],
)
def test_copies_are_found_in_what_the_limits_let_the_model_see(
    tmp_path: Path, limit: str, value: int, tokens: int
) -> None:
    """Messages that differ beyond a limit are copies under it; clusters are made anew for other limits."""
    raws = [parted("same", "same", word) for word in ("one", "other")]
    table = normalise(
        [Found(raw, "ham", "g", "") for raw in raws], max_bytes=10_000, limits=MessageLimits()
    ).kept
    whole = clusters_of(table, tmp_path, READING)
    assert (len(set(whole.names)), whole.token_counts) == (2, [300, 300])
    cut = clusters_of(table, tmp_path, READING.model_copy(update={limit: value}))
    assert len(set(cut.names)) == 1
    assert cut.token_counts == [tokens, tokens]


def test_deep_parts_are_left_out_by_the_limit_of_depth(tmp_path: Path) -> None:
    """A limit of one level leaves nothing of a part within a part."""
    raw = b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" + parted("deep") + b"\n--a--\n"
    table = normalise([Found(raw, "ham", "g", "")], max_bytes=10_000, limits=MessageLimits()).kept
    assert clusters_of(table, tmp_path, READING).token_counts == [100]
    shallow = READING.model_copy(update={"message_max_depth": 1})
    assert clusters_of(table, tmp_path, shallow).token_counts == [0]
