"""Where the second class begins: the best threshold, found by trying all; ties; and what says nothing."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from training.settings import TrainingSettings
from training.thresholds import chosen, of_best_f1, of_false_positive_ceiling


def test_best_f1_is_the_best_of_all_thresholds() -> None:
    """No threshold between two scores gives a larger F1 on validation."""
    random = np.random.default_rng(5)
    labels = random.integers(2, size=300)
    scores = np.clip(0.3 * labels + random.normal(0.35, 0.2, size=300), 0, 1).round(2).astype(np.float32)
    found = of_best_f1(labels, scores)
    best = max(f1_score(labels, scores >= value) for value in np.linspace(0.005, 1.005, 101))
    assert f1_score(labels, scores >= found.value) == pytest.approx(best)
    assert found.reason is None


def test_a_threshold_is_half_way_between_two_scores() -> None:
    """The last bit of a float decides nothing."""
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    assert of_best_f1(labels, scores).value == 0.5
    assert of_false_positive_ceiling(labels, scores, 0.0).value == 0.5


def test_of_equally_good_thresholds_the_highest_is_taken() -> None:
    """F1 is 2/3 both for the top row and for all four: the top row calls fewer."""
    labels, scores = np.array([1, 0, 0, 1]), np.array([0.9, 0.6, 0.4, 0.2])
    assert of_best_f1(labels, scores).value == 0.75


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
        of_best_f1(np.array(labels, dtype=np.int64), np.array(scores)),
        of_false_positive_ceiling(np.array(labels, dtype=np.int64), np.array(scores), 0.01),
    ):
        assert (found.value, found.reason) == (0.5, reason)


def test_settings_choose_the_objective() -> None:
    """The same rows, another aim, another threshold."""
    labels, scores = np.array([1, 0, 1, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.1])
    by_f1 = chosen(labels, scores, TrainingSettings(threshold_objective="f1"))
    strict = TrainingSettings(
        threshold_objective="false_positive_ceiling", threshold_max_false_positive_rate=0.1
    )
    assert by_f1.value == pytest.approx(0.45)
    assert chosen(labels, scores, strict).value == pytest.approx(0.85)
    assert "10 %" in chosen(labels, scores, strict).objective
