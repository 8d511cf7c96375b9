"""Where the second class begins: the best threshold, found by trying all; ties; and what says nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_curve

from training.settings import TrainingSettings
from training.thresholds import chosen, of_best_f1, of_false_positive_ceiling


def sample(rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.str_]]:
    """Returns labels, overlapping scores, and a group for each row."""
    random = np.random.default_rng(seed)
    labels = random.integers(2, size=rows)
    scores = np.clip(0.3 * labels + random.normal(0.35, 0.15, size=rows), 0, 1)
    return labels, scores, np.array([f"row-{row}" for row in range(rows)])


def plain_best(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Returns the threshold of the largest F1 on these very rows."""
    precisions, recalls, tried = precision_recall_curve(labels, scores)
    sums = precisions + recalls
    f1 = 2 * precisions * recalls / np.where(sums > 0, sums, 1)
    return float(tried[np.argmax(f1[:-1])])


def test_best_f1_is_near_the_best_of_all_thresholds() -> None:
    """On validation it gives up little of the largest F1, for it looks beyond these rows."""
    labels, scores, groups = sample(400, 5)
    found = of_best_f1(labels, scores, groups)
    best = f1_score(labels, scores >= plain_best(labels, scores))
    assert best - 0.02 < f1_score(labels, scores >= found.value) <= best
    assert found.reason is None


def test_averaging_over_resamples_is_steadier_than_the_best_of_one_sample() -> None:
    """Over 30 small validation sets the threshold varies less, and F1 on new rows is no worse."""
    new_labels, new_scores, _ = sample(5000, 999)
    thresholds, quality = [], []
    for seed in range(30):
        labels, scores, groups = sample(120, seed)
        pair = plain_best(labels, scores), of_best_f1(labels, scores, groups).value
        thresholds.append(pair)
        quality.append([f1_score(new_labels, new_scores >= value) for value in pair])
    plain, averaged = np.std(thresholds, axis=0)
    assert averaged < 0.85 * plain
    assert np.mean(quality, axis=0)[1] >= np.mean(quality, axis=0)[0]


def test_the_same_rows_give_the_same_threshold() -> None:
    """The resamples are seeded."""
    assert of_best_f1(*sample(100, 1)) == of_best_f1(*sample(100, 1))


def test_a_threshold_is_half_way_between_two_scores() -> None:
    """The last bit of a float decides nothing."""
    labels, scores = np.array([0, 0, 1, 1] * 5), np.array([0.1, 0.2, 0.8, 0.9] * 5)
    assert of_best_f1(labels, scores, scores.astype(np.str_)).value == 0.5
    assert of_false_positive_ceiling(labels, scores, 0.0).value == 0.5


def test_of_thresholds_with_equal_recall_the_highest_is_taken() -> None:
    """Everything is found from 0.85 down; lower ones would only call more."""
    labels, scores = np.array([1, 0, 0, 0]), np.array([0.9, 0.8, 0.4, 0.2])
    assert of_false_positive_ceiling(labels, scores, 0.7).value == pytest.approx(0.85)


def test_rows_of_equal_score_are_called_together() -> None:
    """No order among ties is made up: the tied false positive counts."""
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.6, 0.1])
    assert of_false_positive_ceiling(labels, scores, 0.0).value == 0.75
    assert of_false_positive_ceiling(labels, scores, 0.5).value == pytest.approx(0.35)


@pytest.mark.parametrize(("ceiling", "value"), [(0.249, 0.85), (0.25, 0.65)])
def test_ceiling_holds_on_both_sides_of_its_boundary(ceiling: float, value: float) -> None:
    """One false positive of four is 25 %: allowed at 25 %, not below."""
    labels = np.array([1, 0, 1, 0, 0, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.1])
    assert of_false_positive_ceiling(labels, scores, ceiling).value == pytest.approx(value)


@pytest.mark.parametrize(("top", "value"), [(0.9, 0.95), (1.0, 1.0)])
def test_a_ceiling_that_nothing_can_keep_calls_nothing_and_says_so(top: float, value: float) -> None:
    """The best score is a false positive, so the threshold is above it, but never above 1."""
    found = of_false_positive_ceiling(np.array([0, 1]), np.array([top, 0.5]), 0.0)
    assert found.value == pytest.approx(value)
    assert found.reason == "no threshold keeps this ceiling and finds anything"


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([], [], "validation is empty"),
        ([1, 1], [0.2, 0.9], "validation holds one class only"),
        ([0, 1], [0.4, 0.4], "every validation row has the same score"),
    ],
)
def test_where_validation_says_nothing_the_threshold_is_one_half(
    labels: list[int], scores: list[float], reason: str
) -> None:
    """And the reason is told."""
    for found in (
        of_best_f1(np.array(labels, dtype=np.int64), np.array(scores), np.array(scores, dtype=np.str_)),
        of_false_positive_ceiling(np.array(labels, dtype=np.int64), np.array(scores), 0.01),
    ):
        assert (found.value, found.reason) == (0.5, reason)


def test_settings_choose_the_objective() -> None:
    """The same rows, another aim, another threshold."""
    labels, scores, groups = sample(400, 5)
    by_f1 = chosen(labels, scores, groups, TrainingSettings(threshold_objective="f1"))
    strict = TrainingSettings(
        threshold_objective="false_positive_ceiling", threshold_max_false_positive_rate=0.1
    )
    by_ceiling = chosen(labels, scores, groups, strict)
    assert by_f1 == of_best_f1(labels, scores, groups)
    assert by_ceiling.value > by_f1.value
    assert (scores[labels == 0] >= by_ceiling.value).mean() <= 0.1
    assert "10 %" in by_ceiling.objective
