"""A model of one split: fitted on training rows, its threshold chosen on validation, asked on the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kit.errors import CallerError
from training.evaluation.predictions import Predictions
from training.evaluation.results import Threshold
from training.evaluation.run import Run
from training.metrics import check
from training.thresholds import chosen
from training.workload import Featuriser, Fitted, Rows, Splits


class SplitUnusable(CallerError):
    """A split that nothing can be learned from, or that would flatter."""

    status = 422
    code = "split_unusable"
    title = "Split cannot be used"


@dataclass(frozen=True)
class Model:
    """A featuriser and an estimator on top of it, with the threshold of the second of two classes."""

    featuriser: Featuriser
    fitted: Fitted
    threshold: Threshold | None


def fitted_model(
    run: Run, splits: Splits, *, seed: int, changed: Callable[[Rows], Rows] = lambda rows: rows
) -> Model:
    """Returns a model whose featuriser and estimator have seen the training rows only.

    Validation decides when to stop early, where the estimator does, and the threshold. All rows go through
    `changed` first.
    """
    train, validation = changed(run.rows(splits.train)), changed(run.rows(splits.validation))
    estimator = run.workload.estimator
    featuriser = estimator.fit_featuriser(run.parameters, train)
    fitted = estimator.fit(
        run.parameters,
        featuriser.matrix(train.inputs),
        train.labels,
        validation=(featuriser.matrix(validation.inputs), validation.labels),
        seed=seed,
    )
    return with_threshold(run, featuriser, fitted, validation, run.groups(splits.validation))


def with_threshold(
    run: Run, featuriser: Featuriser, fitted: Fitted, validation: Rows, groups: NDArray[np.str_]
) -> Model:
    """Returns a model that is fitted already, with its threshold chosen on `validation` and its `groups`."""
    if not run.workload.contract.is_binary:
        return Model(featuriser, fitted, None)
    scores = _probabilities(run, featuriser, fitted, validation)[:, 1]
    return Model(featuriser, fitted, chosen(validation.labels, scores, groups, run.settings))


def predictions_of(run: Run, model: Model, rows: Rows, groups: NDArray[np.str_]) -> Predictions:
    """Returns the answers of `model` on `rows`.

    Raises:
        PredictionsInvalid: the estimator gave something else than probabilities of these classes.
    """
    return Predictions(
        ids=rows.ids,
        groups=groups,
        labels=rows.labels,
        probabilities=_probabilities(run, model.featuriser, model.fitted, rows),
        threshold=None if model.threshold is None else model.threshold.value,
    )


def check_split(run: Run, splits: Splits, *, what: str) -> None:
    """Passes if something can be learned on this split and fairly judged.

    Raises:
        SplitUnusable: a part is empty, training lacks a class, or two parts share a row or a group of copies.
    """
    for name, indices in splits._asdict().items():
        if not len(indices):
            raise SplitUnusable(f"{what}: no row is left for {name}.", next_step="Bring more data.")
    counts = np.bincount(run.dataset.rows.labels[splits.train], minlength=len(run.classes))
    missing = [name for name, count in zip(run.classes, counts, strict=True) if not count]
    if missing:
        raise SplitUnusable(
            f"{what}: the training rows hold no {' and no '.join(missing)}; every class must be learned.",
            next_step="Bring rows of every class.",
        )
    for (one, first), (other, second) in combinations(splits._asdict().items(), 2):
        shared = len(np.intersect1d(run.groups(first), run.groups(second)))
        if shared:
            raise SplitUnusable(
                f"{what}: {shared} groups of copies are in {one} and in {other}: the figures would flatter.",
                next_step="Mend the workload's split: a group belongs to one part.",
            )


def _probabilities(run: Run, featuriser: Featuriser, fitted: Fitted, rows: Rows) -> NDArray[np.float64]:
    answered = fitted.probabilities(featuriser.matrix(rows.inputs))
    check(rows.labels, answered, run.classes)
    return answered.astype(np.float64)
