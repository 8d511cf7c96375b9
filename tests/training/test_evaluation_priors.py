"""Probabilities under another prior: Bayes' rule by hand, and a shift that is found without labels."""

import numpy as np
import pytest

from training.priors import corrected, estimated, shares_of


def test_correction_is_bayes_rule() -> None:
    """Odds 9:1 learned at even classes, where the second is 1 in 10: odds 9:9."""
    found = corrected(np.array([[0.1, 0.9]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    assert found[0].tolist() == pytest.approx([0.5, 0.5])


def test_correction_to_the_same_prior_changes_nothing() -> None:
    """No shift, no correction."""
    probabilities = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    prior = np.array([0.5, 0.3, 0.2])
    assert corrected(probabilities, prior, prior) == pytest.approx(probabilities)


def test_a_row_of_impossible_classes_gets_the_prior() -> None:
    """Nothing is divided by zero."""
    found = corrected(np.array([[0.0, 1.0]]), np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    assert found[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_a_new_prior_is_found_without_labels(share: float) -> None:
    """Calibrated posteriors of two normals, trained at 40 %: the shifted share comes back within 2 points."""
    random = np.random.default_rng(11)
    labels = (random.random(20_000) < share).astype(np.int64)
    x = random.normal(2.0 * labels)
    odds = np.exp(2 * x - 2) * 0.4 / 0.6
    probabilities = np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)
    found = estimated(probabilities, np.array([0.6, 0.4]))
    assert found[1] == pytest.approx(share, abs=0.02)
    assert found.sum() == pytest.approx(1)


def test_shares_count_every_class() -> None:
    """A class that does not occur has share zero."""
    assert shares_of(np.array([0, 0, 2, 2]), 4).tolist() == [0.5, 0.0, 0.5, 0.0]
