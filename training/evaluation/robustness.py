"""What a model loses: without a part of its input, and on rows that try to evade it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kit.errors import Bug
from training.evaluation.models import Model, fitted_model, predictions_of
from training.evaluation.predictions import Predictions
from training.evaluation.results import Ablation, Perturbation
from training.evaluation.run import Run
from training.intervals import differences, estimates
from training.metrics import METRICS
from training.workload import Indices, Rows, Splits


def ablation_of(
    run: Run, splits: Splits, whole: Predictions, *, name: str, without: Callable[[Rows], Rows]
) -> Ablation:
    """Returns the figures of a model fitted and judged without something, and what that changes.

    `whole` are the answers of the model that has everything, on the same test rows. The threshold of the
    other model is its own.
    """
    model = fitted_model(run, splits, seed=run.seed, changed=without)
    judged = predictions_of(run, model, without(run.rows(splits.test)), whole.groups)
    return Ablation(
        name=name,
        figures=estimates(judged, run.classes, resamples=run.resamples),
        differences=differences(whole, judged, tuple(METRICS), resamples=run.resamples),
    )


def perturbations_of(run: Run, test: Indices, model: Model, whole: Predictions) -> tuple[Perturbation, ...]:
    """Returns the recall that each evasion costs: on the second class, or on all rows with more than two.

    Raises:
        Bug: a perturbation gave other rows than it was asked for.
    """
    is_binary = run.workload.contract.is_binary
    attacked = np.flatnonzero(whole.labels == 1) if is_binary else np.arange(len(whole))
    before = whole.take(attacked)
    found = []
    for name, evade in run.dataset.perturbations.items():
        rows = evade(test[attacked])
        if not np.array_equal(rows.labels, before.labels):
            raise Bug(f"The perturbation {name} gave other rows, or other labels, than it was asked for.")
        answered = predictions_of(run, model, rows, before.groups)
        # Evaded rows may carry ids of their own; each is compared with the row that it was made of.
        after = replace(answered, ids=before.ids)
        found.append(_perturbation(run, name, before, after))
    return tuple(found)


def _perturbation(run: Run, name: str, before: Predictions, after: Predictions) -> Perturbation:
    return Perturbation(
        name=name,
        rows=len(before),
        recall_before=estimates(before, run.classes, resamples=run.resamples)["recall"],
        recall_after=estimates(after, run.classes, resamples=run.resamples)["recall"],
        recall_lost=differences(after, before, ["recall"], resamples=run.resamples)["recall"],
    )
