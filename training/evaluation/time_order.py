"""The past judged on the future, and what it helps to know, or to guess, that classes became rarer."""

from collections.abc import Sequence
from dataclasses import replace

from training.evaluation.models import Model, fitted_model, predictions_of
from training.evaluation.predictions import Predictions
from training.evaluation.results import Correction, Threshold, TimeOrdered
from training.evaluation.run import Run
from training.intervals import estimates
from training.priors import Shares, corrected, estimated, shares_of
from training.thresholds import chosen
from training.workload import Splits


def time_ordered(run: Run, splits: Splits) -> TimeOrdered:
    """Returns the figures of the time-ordered split: as served, and under an estimated and the true prior.

    The estimate sees the probabilities of the test rows and never their labels. The true prior (`oracle`) is
    a bound for comparison: nobody has it when it is needed.
    """
    train, validation, test = (run.rows(part) for part in splits)
    model = fitted_model(run, splits, seed=run.seed)
    held = predictions_of(run, model, validation, run.groups(splits.validation))
    future = predictions_of(run, model, test, run.groups(splits.test))
    trained, of_validation, actual = (
        shares_of(rows.labels, len(run.classes)) for rows in (train, validation, test)
    )
    threshold = _threshold_for_corrected(run, model, held, trained, of_validation)
    corrections = [_correction(run, "none", future, trained, model.threshold)]
    for name, prior in (("estimated", estimated(future.probabilities, trained)), ("oracle", actual)):
        moved = replace(
            future,
            probabilities=corrected(future.probabilities, trained, prior),
            threshold=None if threshold is None else threshold.value,
        )
        corrections.append(_correction(run, name, moved, prior, threshold))
    return TimeOrdered(
        train_rows=len(train),
        validation_rows=len(validation),
        test_rows=len(test),
        train_shares=_named(trained, run.classes),
        validation_shares=_named(of_validation, run.classes),
        test_shares=_named(actual, run.classes),
        corrections=tuple(corrections),
    )


def _threshold_for_corrected(
    run: Run, model: Model, held: Predictions, trained: Shares, of_validation: Shares
) -> Threshold | None:
    """Returns the threshold for corrected probabilities, chosen on validation's, corrected to its own prior.

    Validation may have another prior than training too. The plain threshold makes up for that, and with the
    correction of the test rows on top it would count twice.
    """
    if model.threshold is None:
        return None
    scores = corrected(held.probabilities, trained, of_validation)[:, 1]
    return chosen(held.labels, scores, held.groups, run.settings)


def _correction(
    run: Run, name: str, predictions: Predictions, prior: Shares, threshold: Threshold | None
) -> Correction:
    return Correction(
        name=name,
        prior=_named(prior, run.classes),
        threshold=threshold,
        figures=estimates(predictions, run.classes, resamples=run.resamples),
    )


def _named(shares: Shares, classes: Sequence[str]) -> dict[str, float]:
    return dict(zip(classes, shares.tolist(), strict=True))
