"""The figure of record: the mean over several grouped splits, each with a model of its own."""

from collections.abc import Sequence

import numpy as np

from training.evaluation.models import Model, check_split, fitted_model, predictions_of
from training.evaluation.predictions import Predictions
from training.evaluation.results import Estimate, Figures, Record, SeedResult
from training.evaluation.run import Run
from training.intervals import mean_over_splits
from training.metrics import METRICS, answers, undefined, values

METHOD = (
    "Mean over random grouped splits, everything refitted on each; 95 % t interval, widened for the rows "
    "that the splits share (Nadeau and Bengio, 2003)."
)


def record_of(results: Sequence[SeedResult]) -> Record:
    """Returns the record over the results of several seeds."""
    share = float(np.mean([result.test_rows / result.train_rows for result in results]))
    return Record(
        seeds=tuple(results),
        means={name: _mean(name, results, test_share=share) for name in METRICS},
        method=METHOD,
    )


def seed_result(run: Run, seed: int, known: Model | None) -> SeedResult:
    """Returns the figures on the split of `seed`; `known` is its model, if it is fitted already.

    Raises:
        SplitUnusable: a split is empty, lacks a class, or leaks.
        PredictionsInvalid: the estimator did not give probabilities.
    """
    splits = run.dataset.split(seed)
    check_split(run, splits, what=f"Split of seed {seed}")
    model = known or fitted_model(run, splits, seed=seed)
    judged = predictions_of(run, model, run.rows(splits.test), run.groups(splits.test))
    return SeedResult(
        seed=seed,
        train_rows=len(splits.train),
        validation_rows=len(splits.validation),
        test_rows=len(splits.test),
        rounds=model.fitted.rounds,
        threshold=model.threshold,
        figures=plain_figures(judged, run.classes),
    )


def plain_figures(predictions: Predictions, classes: Sequence[str]) -> Figures:
    """Returns each metric without an interval."""
    labels, answered = predictions.labels, answers(predictions.probabilities, predictions.threshold)
    found = values(labels, predictions.probabilities, predictions.threshold)
    return {
        name: Estimate(value=None, reason=undefined(name, labels, answered, classes))
        if np.isnan(value[0])
        else Estimate(value=float(value[0]))
        for name, value in found.items()
    }


def _mean(name: str, results: Sequence[SeedResult], *, test_share: float) -> Estimate:
    found = [result.figures[name].value for result in results]
    for result in results:
        figure = result.figures[name]
        if figure.value is None:
            return Estimate(value=None, reason=f"undefined on seed {result.seed}: {figure.reason}")
    mean = mean_over_splits([value for value in found if value is not None], test_share=test_share)
    if mean.low is None or mean.high is None:
        return mean
    most = 1.0 if METRICS[name].more_is_better else np.inf
    return Estimate(value=mean.value, low=max(0.0, mean.low), high=min(most, mean.high))
