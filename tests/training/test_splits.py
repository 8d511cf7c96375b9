"""Splits: no cluster crosses, the shares are right, and only messages and seed decide."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from training.corpus.duplicates import Clusters
from training.corpus.splits import Split, TooFewMessages, random_split, rows_of, time_split

pytestmark = pytest.mark.xdist_group("clusters")  # one worker finds them

START = datetime(2002, 1, 1, tzinfo=UTC)


def crossing(splits: list[Split], clusters: list[str]) -> list[str]:
    """Returns the clusters that stand in more than one split; left out is no split."""
    found = defaultdict(set)
    for split, name in zip(splits, clusters, strict=True):
        if split is not Split.LEFT_OUT:
            found[name].add(split)
    return [name for name, where in found.items() if len(where) > 1]


def test_no_cluster_crosses_a_random_split_and_shares_are_kept(
    corpus: pa.Table, corpus_clusters: Clusters
) -> None:
    """Over the whole corpus, one seed: 70/15/15 and 31.4 % spam within one per cent, in every part."""
    labels = np.asarray(corpus["label"].to_pylist())
    splits = random_split(corpus["sha256"].to_pylist(), labels.tolist(), corpus_clusters.names, seed=0)
    assert crossing(splits, corpus_clusters.names) == []
    for split, share in ((Split.TRAIN, 0.70), (Split.VALIDATION, 0.15), (Split.TEST, 0.15)):
        rows = rows_of(splits, split)
        assert len(rows) / len(splits) == pytest.approx(share, abs=0.01)
        assert (labels[rows] == "spam").mean() == pytest.approx(0.3136, abs=0.01)


def test_detector_of_crossing_clusters_sees_one() -> None:
    """The check above would fail on a split that parts a cluster."""
    assert crossing([Split.TRAIN, Split.TEST, Split.TEST], ["a", "a", "b"]) == ["a"]


def test_same_seed_is_the_same_split_whatever_the_order_of_rows(
    corpus: pa.Table, corpus_clusters: Clusters
) -> None:
    """Another seed is another split."""
    ids, labels = corpus["sha256"].to_pylist()[:500], corpus["label"].to_pylist()[:500]
    names = corpus_clusters.names[:500]
    straight = random_split(ids, labels, names, seed=1)
    order = list(range(len(ids)))
    random.Random(5).shuffle(order)
    shuffled = random_split(
        [ids[row] for row in order],
        [labels[row] for row in order],
        [names[row] for row in order],
        seed=1,
    )
    assert [straight[row] for row in order] == shuffled
    assert random_split(ids, labels, names, seed=2) != straight


def test_class_with_too_few_clusters_is_refused() -> None:
    """Twenty of each class are enough, nineteen are not, however many copies there are."""
    ids = [f"{number:03}" for number in range(80)]
    labels = ["ham"] * 40 + ["spam"] * 40
    enough = ids[:40] + [f"s{number % 20}" for number in range(40)]
    assert set(random_split(ids, labels, enough, seed=0)) == {Split.TRAIN, Split.VALIDATION, Split.TEST}
    with pytest.raises(TooFewMessages, match="Class spam has 19"):
        random_split(ids, labels, ids[:40] + [f"s{number % 19}" for number in range(40)], seed=0)


def test_time_split_of_the_corpus_keeps_clusters_and_order(
    corpus: pa.Table, corpus_clusters: Clusters
) -> None:
    """Every training date is before every validation date, and these before every test date."""
    dates = corpus["date"].to_pylist()
    splits = time_split(dates, corpus_clusters.names)
    assert crossing(splits, corpus_clusters.names) == []
    train, validation, test = (
        [dates[row] for row in rows_of(splits, split)]
        for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)
    )
    assert max(train) < min(validation) <= max(validation) < min(test)
    dated = len(dates) - dates.count(None)
    assert len(train) / dated == pytest.approx(0.70, abs=0.03)
    assert len(validation) / dated == pytest.approx(0.15, abs=0.03)
    assert len(test) / dated == pytest.approx(0.15, abs=0.03)


def test_late_copy_and_undated_message_are_left_out_by_time() -> None:
    """A copy of something old is no news, and what has no date is neither before nor after."""
    days: list[datetime | None] = [START + timedelta(days=day) for day in range(100)]
    names = [str(day) for day in range(100)]
    names[90] = "0"
    days[50] = None
    splits = time_split(days, names)
    assert splits[90] is Split.LEFT_OUT
    assert splits[50] is Split.LEFT_OUT
    assert (splits[0], splits[99]) == (Split.TRAIN, Split.TEST)
    assert splits.count(Split.LEFT_OUT) == 2


def test_time_split_ignores_the_order_of_rows() -> None:
    """Dates and clusters decide, also where many have the same date."""
    chance = random.Random(2)
    days: list[datetime | None] = [START + timedelta(days=chance.randrange(30)) for _ in range(300)]
    names = [str(chance.randrange(200)) for _ in range(300)]
    straight = time_split(days, names)
    order = list(range(300))
    chance.shuffle(order)
    assert time_split([days[row] for row in order], [names[row] for row in order]) == [
        straight[row] for row in order
    ]
    assert crossing(straight, names) == []


@pytest.mark.parametrize("dates", [[], [None] * 9, [START] * 9, [START, START + timedelta(days=1)]])
def test_dates_that_cannot_part_the_corpus_are_refused(dates: list[datetime | None]) -> None:
    """Nothing, no dates, one date, or fewer than three messages."""
    with pytest.raises(TooFewMessages):
        time_split(dates, [str(number) for number in range(len(dates))])
