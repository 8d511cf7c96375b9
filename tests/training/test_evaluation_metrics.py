"""The metrics, judged by scikit-learn: plain, weighted, tied, with two classes and with more."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as judge
from sklearn.calibration import calibration_curve

from training.calibration import reliability
from training.metrics import METRICS, PredictionsInvalid, answers, check, undefined, values

TWO = ("no", "yes")
THREE = ("red", "green", "blue")


def drawn(classes: int, rows: int = 400, seed: int = 7) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns labels and probabilities that know something of them; rounded, so that many are tied."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=rows)
    logits = random.normal(size=(rows, classes)) + 1.2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if classes == 2:
        probabilities[:, 1] = probabilities[:, 1].round(2)
        probabilities[:, 0] = 1 - probabilities[:, 1]
    return labels, probabilities


def judged_binary(
    labels: NDArray[Any], probabilities: NDArray[Any], threshold: float, weights: NDArray[Any]
) -> dict[str, float]:
    """Returns scikit-learn's figures for two classes."""
    scores = probabilities[:, 1]
    answered = (scores >= threshold).astype(int)
    rates, recalls, _ = judge.roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    same: dict[str, Any] = {"sample_weight": weights}
    return {
        "f1": judge.f1_score(labels, answered, **same),
        "precision": judge.precision_score(labels, answered, **same),
        "recall": judge.recall_score(labels, answered, **same),
        "specificity": judge.recall_score(labels, answered, pos_label=0, **same),
        "accuracy": judge.accuracy_score(labels, answered, **same),
        "roc_auc": judge.roc_auc_score(labels, scores, **same),
        "pr_auc": judge.average_precision_score(labels, scores, **same),
        "recall_at_fpr_0.001": recalls[rates <= 0.001].max(),
        "recall_at_fpr_0.01": recalls[rates <= 0.01].max(),
        "log_loss": judge.log_loss(labels, np.clip(scores, 1.2e-7, 1 - 1.2e-7), **same),
        "brier": judge.brier_score_loss(labels, scores, **same),
    }


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.83])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_are_judged_as_scikit_learn_judges_them(threshold: float, weighted: bool) -> None:
    """Every metric agrees, with ties, and with the weights of a bootstrap resample."""
    labels, probabilities = drawn(2)
    random = np.random.default_rng(1)
    weights = random.integers(0, 4, size=400).astype(float) if weighted else np.ones(400)
    ours = values(labels, probabilities, threshold, weights[None, :])
    expected = judged_binary(labels, probabilities, threshold, weights)
    for name, value in expected.items():
        assert ours[name][0] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("weighted", [False, True])
def test_three_classes_are_judged_as_scikit_learn_judges_them(weighted: bool) -> None:
    """Means over the classes, one against the others; what needs two classes is undefined."""
    labels, probabilities = drawn(3)
    random = np.random.default_rng(2)
    weights = random.integers(0, 4, size=400).astype(float) if weighted else np.ones(400)
    answered = probabilities.argmax(axis=1)
    same: dict[str, Any] = {"sample_weight": weights}
    truth = np.eye(3)[labels]
    expected = {
        "f1": judge.f1_score(labels, answered, average="macro", **same),
        "precision": judge.precision_score(labels, answered, average="macro", **same),
        "recall": judge.recall_score(labels, answered, average="macro", **same),
        "accuracy": judge.accuracy_score(labels, answered, **same),
        "roc_auc": np.mean([judge.roc_auc_score(truth[:, k], probabilities[:, k], **same) for k in range(3)]),
        "pr_auc": judge.average_precision_score(truth, probabilities, average="macro", **same),
        "log_loss": judge.log_loss(labels, probabilities, **same),
        "brier": judge.brier_score_loss(labels, probabilities, **same),
    }
    ours = values(labels, probabilities, None, weights[None, :])
    for name, value in expected.items():
        assert ours[name][0] == pytest.approx(value, abs=1e-9), name
    for name, metric in METRICS.items():
        assert np.isnan(ours[name][0]) == metric.only_binary, name


def test_many_resamples_at_once_are_as_one_by_one() -> None:
    """The vectorised figures of a batch are those of its rows."""
    labels, probabilities = drawn(2)
    weights = np.random.default_rng(3).integers(0, 3, size=(5, 400)).astype(float)
    together = values(labels, probabilities, 0.5, weights)
    for row in range(5):
        alone = values(labels, probabilities, 0.5, weights[row : row + 1])
        for name in METRICS:
            assert together[name][row] == pytest.approx(alone[name][0], nan_ok=True), name


@pytest.mark.parametrize("classes", [2, 3])
def test_reliability_table_is_scikit_learns(classes: int) -> None:
    """The same means in the same bins; and the calibration error is their weighted distance."""
    labels, probabilities = drawn(classes)
    if classes == 2:
        came_true, promised = labels, probabilities[:, 1]
    else:
        came_true, promised = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
    observed, predicted = calibration_curve(came_true, promised, n_bins=10)
    table = reliability(labels, probabilities)
    filled = [row for row in table if row.rows]
    assert [row.observed for row in filled] == pytest.approx(observed.tolist())
    assert [row.predicted for row in filled] == pytest.approx(predicted.tolist())
    assert sum(row.rows for row in table) == 400
    distance = sum(row.rows * abs((row.observed or 0) - (row.predicted or 0)) for row in filled) / 400
    threshold = 0.5 if classes == 2 else None
    assert values(labels, probabilities, threshold)["ece"][0] == pytest.approx(distance)


def test_an_empty_bin_has_no_means() -> None:
    """Nothing was promised there, so nothing came true."""
    table = reliability(np.array([0, 1]), np.array([[0.95, 0.05], [0.0, 1.0]]))
    assert [row.rows for row in table] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert table[4].predicted is None
    assert table[4].observed is None


def test_equal_probabilities_give_the_first_class_and_the_threshold_itself_is_a_yes() -> None:
    """Ties are settled in a stated way."""
    probabilities = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    assert answers(probabilities, None).tolist() == [0, 1]
    assert answers(np.array([[0.3, 0.7], [0.31, 0.69]]), 0.7).tolist() == [1, 0]


def test_one_class_only_leaves_what_needs_the_other_undefined_with_the_reason() -> None:
    """Rows of the first class alone still have an accuracy, a specificity and a log loss."""
    labels, answered = np.zeros(4, dtype=np.int64), np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    found = {name: value[0] for name, value in values(labels, probabilities, 0.5).items()}
    assert found["accuracy"] == found["specificity"] == 0.75
    assert found["precision"] == 0.0
    for name in ("f1", "recall", "roc_auc", "pr_auc", "recall_at_fpr_0.01"):
        assert np.isnan(found[name])
        assert undefined(name, labels, answered, TWO) == "no yes is here"


def test_other_class_only_and_nothing_answered_are_undefined_with_the_reason() -> None:
    """Without a negative there is no specificity; without a yes there is no precision, and F1 is zero."""
    labels, answered = np.ones(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    found = values(labels, np.array([[0.9, 0.1]] * 3), 0.5)
    assert found["f1"][0] == 0
    assert undefined("specificity", labels, answered, TWO) == "no no is here"
    assert np.isnan(found["specificity"][0])
    assert undefined("precision", labels, answered, TWO) == "no yes was answered"
    assert np.isnan(found["precision"][0])
    assert undefined("specificity", labels, answered, THREE) == "it is defined for two classes"


def test_no_rows_have_no_figures() -> None:
    """An empty slice is told as such and breaks nothing."""
    empty = np.empty(0, dtype=np.int64)
    assert all(np.isnan(value[0]) for value in values(empty, np.empty((0, 2)), 0.5).values())
    assert {undefined(name, empty, empty, TWO) for name in METRICS} == {"there are no rows"}


GOOD = np.array([[0.5, 0.5], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        ([0, 1], np.array([[0.5, 0.5], [np.nan, 0.8]]), "row 1 has a probability that is not a number"),
        ([0, 1], np.array([[0.5, 0.5], [np.inf, 0.8]]), "row 1 has a probability that is not a number"),
        ([0, 1], np.array([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0]]), "shape"),
        ([0, 1], np.array([0.5, 0.8]), "shape"),
        ([0, 1, 1], GOOD, "shape"),
        ([0, 2], GOOD, "outside 0 to 1"),
        ([-1, 1], GOOD, "outside 0 to 1"),
        ([0, 1], np.array([[0.5, 0.5], [-0.2, 1.2]]), "outside 0 to 1"),
        ([0, 1], np.array([[0.5, 0.5], [0.2, 0.3]]), "add up"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(
    labels: list[int], probabilities: NDArray[np.float64], words: str
) -> None:
    """The message says what is wrong, and where."""
    with pytest.raises(PredictionsInvalid, match=words):
        check(np.array(labels), probabilities, TWO)


def test_valid_answers_pass() -> None:
    """The other side of the detector, float32 rounding included."""
    check(np.array([0, 1]), GOOD.astype(np.float32), TWO)
    check(np.empty(0, dtype=np.int64), np.empty((0, 2)), TWO)
