"""Matrices for the trials of a search: each distinct featuriser is fitted once and shared by all of them.

An actor holds the references; the matrices are in Ray's shared memory, where every process of a node reads
them without a copy. What does not fit there goes to disk.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from training.workload import Estimator, Indices, Matrix, Parameters, Rows


class Fold(NamedTuple):
    """What is fitted on and what is judged on, as row numbers."""

    fit: Indices
    judge: Indices


class Tables(NamedTuple):
    """The matrices of one fold, float32 [rows, F], read-only."""

    fit: Matrix
    judge: Matrix


def featurised(estimator: Estimator, parameters: Parameters, rows: Rows, fold: Fold) -> Tables:
    """Returns both matrices of a fold; the featuriser learns from the rows to fit on alone."""
    train = rows.take(fold.fit)
    featuriser = estimator.fit_featuriser(parameters, train)
    return Tables(featuriser.matrix(train.inputs), featuriser.matrix(rows.take(fold.judge).inputs))


class Featurisers:
    """The body of the actor: which featuriser was asked for, and where its matrices are."""

    def __init__(
        self, estimator: Estimator, rows: Sequence[Any], folds: Sequence[Fold], retries: int
    ) -> None:
        import ray

        self._estimator = estimator
        # A reference within a list stays a reference: the actor has no use for the rows.
        (self._rows,) = rows
        self._folds = folds
        self._task: Any = ray.remote(num_cpus=0, num_returns=2, max_retries=retries)(featurised)
        self._made: dict[Hashable, tuple[Any, Any]] = {}

    def tables(self, parameters: Parameters, fold: int) -> tuple[Any, Any]:
        """Returns references to the two matrices; they may still be in the making."""
        key = (self._estimator.featuriser_key(parameters), fold)
        if key not in self._made:
            # The trial that asks holds a CPU and waits, so this takes none of its own.
            fit, judge = self._task.remote(self._estimator, dict(parameters), self._rows, self._folds[fold])
            self._made[key] = (fit, judge)
        return self._made[key]

    def count(self) -> int:
        """Returns how many featurisers were asked for."""
        return len(self._made)


def shared(estimator: Estimator, rows: Rows, folds: Sequence[Fold], *, retries: int) -> Any:
    """Returns the handle of a new actor `Featurisers`; it lives until the handle is dropped or Ray stops."""
    import ray

    actor = ray.remote(num_cpus=0, max_restarts=0)(Featurisers)
    return actor.remote(estimator, [ray.put(rows)], list(folds), retries)


def tables(featurisers: Any, parameters: Parameters, fold: int) -> Tables:
    """Returns the matrices of a fold, in a worker; waits until they are made.

    Raises:
        ray.exceptions.RayTaskError: the featuriser could not be fitted.
    """
    import ray

    references = ray.get(featurisers.tables.remote(parameters, fold))
    return Tables(*ray.get(list(references)))
