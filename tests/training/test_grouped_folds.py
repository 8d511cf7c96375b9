"""Folds of groups are those of scikit-learn."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from sklearn.model_selection import StratifiedGroupKFold

from training.grouped_folds import GroupedFolds


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    classes=st.integers(2, 4),
    groups=st.integers(25, 120),
    folds=st.integers(2, 20),
)
def test_they_are_those_of_scikit_learn(seed: int, classes: int, groups: int, folds: int) -> None:
    """Groups of one and of many rows, of one class and of several, in the same folds."""
    made = np.random.default_rng(seed)
    sizes = np.where(made.random(groups) < 0.8, 1, made.integers(2, 30, groups))
    names = np.repeat(np.arange(groups), sizes)
    labels = np.concatenate([np.repeat(np.arange(classes), 20), made.integers(0, classes, len(names))])
    names = np.concatenate([groups + np.arange(20 * classes), names])
    wanted = StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 1000)
    found = GroupedFolds(folds, shuffle=True, random_state=seed % 1000)
    pairs = zip(wanted.split(labels, labels, names), found.split(labels, labels, names), strict=True)
    assert all(np.array_equal(one[1], other[1]) for one, other in pairs)


def test_the_choice_is_really_made_here() -> None:
    """The method that is overridden is one that scikit-learn calls."""
    called = []

    class Watched(GroupedFolds):
        def _find_best_fold(self, *arguments: object, **named: object) -> int:
            called.append(1)
            return super()._find_best_fold(*arguments, **named)  # type: ignore[arg-type]

    labels = np.tile([0, 1], 30)
    next(iter(Watched(3).split(labels, labels, np.arange(60))))
    assert len(called) == 60
