"""Intervals: seeded, covering, by whole groups; paired differences; and the mean over splits."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from training.evaluation.predictions import Predictions, PredictionsUnreadable, read, write
from training.intervals import PredictionsDiffer, differences, estimates, mean_over_splits, weights_of

CLASSES = ("no", "yes")
RESAMPLES = 400


def predictions(
    labels: NDArray[np.int64], scores: NDArray[np.float64], groups: list[str] | None = None
) -> Predictions:
    """Returns answers with two classes at threshold one half."""
    ids = np.array([f"r{row}" for row in range(len(labels))])
    return Predictions(
        ids=ids,
        groups=ids if groups is None else np.array(groups),
        labels=labels,
        probabilities=np.stack([1 - scores, scores], axis=1),
        threshold=0.5,
    )


def with_accuracy(share: float, rows: int, seed: int) -> Predictions:
    """Returns answers that are right with probability `share`."""
    random = np.random.default_rng(seed)
    labels = random.integers(2, size=rows)
    right = random.random(rows) < share
    return predictions(labels, np.where(right, labels, 1 - labels) * 0.8 + 0.1)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 60 samples with a true accuracy of 0.8, at least 50 intervals hold it."""
    covered = 0
    for seed in range(60):
        found = estimates(with_accuracy(0.8, 150, seed), CLASSES, resamples=200)["accuracy"]
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.8 <= found.high
    assert 50 <= covered <= 60


def test_the_same_rows_give_the_same_interval() -> None:
    """The resamples are seeded."""
    first, second = (estimates(with_accuracy(0.9, 100, 1), CLASSES, resamples=RESAMPLES) for _ in range(2))
    assert first == second


def test_copies_do_not_make_an_interval_narrower() -> None:
    """Each row five times over: as one group each the interval stays, as single rows it shrinks falsely."""
    base = with_accuracy(0.8, 100, 3)
    labels, scores = np.repeat(base.labels, 5), np.repeat(base.probabilities[:, 1], 5)
    grouped = predictions(labels, scores, np.repeat(base.ids, 5).tolist())
    width = {}
    for name, judged in {"base": base, "grouped": grouped, "single": predictions(labels, scores)}.items():
        found = estimates(judged, CLASSES, resamples=RESAMPLES)["accuracy"]
        assert found.low is not None
        assert found.high is not None
        width[name] = found.high - found.low
    assert width["grouped"] == pytest.approx(width["base"])
    assert width["single"] < 0.6 * width["base"]


def test_a_resample_draws_as_many_groups_as_there_are_each_whole() -> None:
    """Rows of one group always have the same weight, also over several batches of resamples."""
    groups = np.array(["a", "a", "b", "c"] * 300_000)[: 4 * 150_000]
    batches = list(weights_of(groups, 5))
    assert sum(len(batch) for batch in batches) == 5
    assert len(batches) > 1
    for batch in batches:
        assert (batch[:, 0] == batch[:, 1]).all()
        assert (batch[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_tiny_samples_have_figures_and_no_interval() -> None:
    """Nine rows are told to be too few; ten get one."""
    few = estimates(with_accuracy(0.7, 9, 2), CLASSES, resamples=RESAMPLES)["accuracy"]
    assert few.value is not None
    assert (few.low, few.reason) == (None, "9 independent rows are too few for an interval")
    enough = estimates(with_accuracy(0.7, 10, 2), CLASSES, resamples=RESAMPLES)["accuracy"]
    assert enough.low is not None


def test_no_error_seen_is_not_taken_for_certainty() -> None:
    """An interval from 1 to 1 would be a lie: there is none, and the reason is told."""
    found = estimates(with_accuracy(1.0, 40, 2), CLASSES, resamples=RESAMPLES)["accuracy"]
    assert found.value == 1.0
    assert found.low is None
    assert found.reason == "every resample gives the same: an interval would be a point"


def test_a_class_that_most_resamples_miss_gives_no_interval() -> None:
    """One positive of 40: a third of the resamples have none."""
    labels = np.eye(40, dtype=np.int64)[0]
    found = estimates(predictions(labels, labels * 0.5 + 0.2), CLASSES, resamples=RESAMPLES)
    assert found["recall"].value == 1.0
    assert "too rare" in (found["recall"].reason or "")
    assert found["log_loss"].low is not None


def test_an_undefined_figure_is_none_with_its_reason() -> None:
    """Never NaN."""
    found = estimates(
        predictions(np.zeros(20, dtype=np.int64), np.full(20, 0.1)), CLASSES, resamples=RESAMPLES
    )
    assert found["recall"].value is None
    assert found["recall"].reason == "no yes is here"


def test_a_real_loss_is_significant_and_noise_is_not() -> None:
    """0.95 against 0.80 is found; the same answers differ by nothing, with p-value 1."""
    good = with_accuracy(0.95, 300, 4)
    bad = predictions(
        good.labels, np.where(np.arange(300) % 6 == 0, 1 - good.labels, good.labels) * 0.8 + 0.1
    )
    lost = differences(good, bad, ["accuracy"], resamples=RESAMPLES)["accuracy"]
    assert lost.value is not None
    assert lost.high is not None
    assert lost.p_value is not None
    assert lost.value < lost.high < 0
    assert lost.p_value < 0.01
    same = differences(good, good, ["accuracy", "f1"], resamples=RESAMPLES)
    assert [(each.value, each.low, each.high, each.p_value) for each in same.values()] == [(0, 0, 0, 1)] * 2


def test_the_paired_difference_has_the_sign_of_second_less_first() -> None:
    """Swapping the two turns the interval round."""
    one, other = with_accuracy(0.9, 200, 6), with_accuracy(0.7, 200, 6)
    there = differences(one, other, ["accuracy"], resamples=RESAMPLES)["accuracy"]
    back = differences(other, one, ["accuracy"], resamples=RESAMPLES)["accuracy"]
    assert there.value is not None
    assert back.value == pytest.approx(-there.value)
    assert there.low is not None
    assert back.high == pytest.approx(-there.low)


def test_noise_is_called_significant_about_as_often_as_promised() -> None:
    """Two equally good models on 60 samples: at most a tenth have p below 0.05."""
    false_alarms = 0
    for seed in range(60):
        one = with_accuracy(0.85, 200, seed)
        right = np.random.default_rng(seed + 5000).random(200) < 0.85
        scores = np.where(right, one.labels, 1 - one.labels) * 0.8 + 0.1
        other = predictions(one.labels, scores)
        found = differences(one, other, ["accuracy"], resamples=200)["accuracy"]
        assert found.p_value is not None
        false_alarms += found.p_value < 0.05
    assert false_alarms <= 6


def test_other_rows_cannot_be_compared() -> None:
    """A comparison of different test splits is refused."""
    one = with_accuracy(0.9, 50, 1)
    moved = Predictions(one.ids[::-1], one.groups, one.labels, one.probabilities, 0.5)
    with pytest.raises(PredictionsDiffer, match="same test rows"):
        differences(one, moved, ["f1"], resamples=RESAMPLES)


def test_mean_over_splits_is_a_t_interval_widened_by_shared_rows() -> None:
    """Without shared rows it is scipy's own; with 15 test rows to 70 it is 1.44 times as wide."""
    figures = [0.97, 0.96, 0.98, 0.95, 0.97]
    plain = mean_over_splits(figures, test_share=0)
    expected = ttest_1samp(figures, 0).confidence_interval(0.95)
    assert plain.low == pytest.approx(expected.low)
    assert plain.high == pytest.approx(expected.high)
    wide = mean_over_splits(figures, test_share=15 / 70)
    assert wide.value == plain.value == pytest.approx(0.966)
    assert wide.high is not None
    assert plain.high is not None
    assert (wide.high - 0.966) / (plain.high - 0.966) == pytest.approx(1.44, abs=0.005)


def test_one_split_has_no_interval() -> None:
    """One figure has no spread."""
    assert mean_over_splits([0.9], test_share=0.2).low is None


def test_predictions_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    """Equal in every bit, the threshold too; three classes have none."""
    for judged in (
        with_accuracy(0.9, 30, 1),
        Predictions(np.array(["x"]), np.array(["g"]), np.array([2]), np.array([[0.1, 0.2, 0.7]]), None),
    ):
        write(judged, tmp_path / "deep" / "predictions.parquet")
        back = read(tmp_path / "deep" / "predictions.parquet")
        assert back.ids.tolist() == judged.ids.tolist()
        assert back.groups.tolist() == judged.groups.tolist()
        assert back.labels.tolist() == judged.labels.tolist()
        assert back.probabilities.tobytes() == judged.probabilities.tobytes()
        assert back.threshold == judged.threshold


def test_a_file_that_is_no_predictions_is_refused(tmp_path: Path) -> None:
    """Missing, or of another kind."""
    with pytest.raises(PredictionsUnreadable):
        read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(PredictionsUnreadable):
        read(tmp_path / "text.parquet")
