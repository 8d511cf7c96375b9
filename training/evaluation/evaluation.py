"""The whole evaluation of one point of the search space."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from kit.errors import CallerError
from training.calibration import reliability
from training.evaluation import details
from training.evaluation.models import Model, check_split, fitted_model, predictions_of, with_threshold
from training.evaluation.predictions import Predictions
from training.evaluation.record import record_of, seed_result
from training.evaluation.results import Evaluation, TimeOrdered
from training.evaluation.robustness import ablation_of, perturbations_of
from training.evaluation.run import Run
from training.evaluation.side_by_side import side_by_side
from training.evaluation.time_order import time_ordered
from training.intervals import estimates
from training.settings import TrainingSettings
from training.workload import Dataset, Featuriser, Fitted, Parameters, Splits, Workload

OnStep = Callable[[int, int, str], None]
"""Called after each step with how many are done, of how many, and what the last one was."""


class Evaluated(NamedTuple):
    """What was found, and the answers on the run's test rows, for the gate and for the next comparison."""

    evaluation: Evaluation
    predictions: Predictions


def evaluate(
    workload: Workload, dataset: Dataset, parameters: Parameters, *, run_seed: int,
    settings: TrainingSettings, model: tuple[Featuriser, Fitted] | None = None,
    on_step: OnStep = lambda _done, _total, _what: None,
) -> Evaluated:  # fmt: skip
    """Returns the record over `settings.evaluation_seeds`, and details on the test split of `run_seed`.

    `model` is what was fitted on the training rows of `run_seed`, the one that would be released: the details
    are about it. Without it one is fitted here. Nothing depends on the clock: the same model, data and
    settings give the same evaluation.

    Raises:
        SplitUnusable: a split is empty, lacks a class in training, or leaks.
        PredictionsInvalid: the estimator did not give probabilities of the contract's classes.
    """
    run = Run(workload, dataset, parameters, run_seed, settings)
    steps = _Steps(len(settings.evaluation_seeds) + len(dataset.ablations) + 4, on_step)
    splits = dataset.split(run_seed)
    check_split(run, splits, what=f"Split of seed {run_seed}")
    own = _own_model(run, splits, model)
    judged = predictions_of(run, own, run.rows(splits.test), run.groups(splits.test))
    steps.done("the run's own split")
    seeds, ablations = settings.evaluation_seeds, dataset.ablations
    parts: dict[str, Callable[[], Any]] = {
        **{
            f"seed {seed}": partial(seed_result, run, seed, own if seed == run_seed else None)
            for seed in seeds
        },
        **{
            f"ablation {name}": partial(ablation_of, run, splits, judged, name=name, without=without)
            for name, without in ablations.items()
        },
        "time order": partial(_by_time, run),
    }
    others = side_by_side(
        list(parts.values()), rows=len(dataset.rows), processes=settings.evaluation_processes
    )
    perturbations = perturbations_of(run, splits.test, own, judged)
    steps.done("evasions")
    found = {}
    for what, result in zip(parts, others, strict=True):
        found[what] = result
        steps.done(what)
    by_time, no_time = found["time order"]
    importance, no_importance = details.importance_of(own, run.rows(splits.test))
    titles = [dataset.titles[at] for at in splits.test] if len(dataset.titles) else []
    errors, error_count = details.errors_of(judged, titles, run.classes)
    evaluation = Evaluation(
        workload=workload.name,
        classes=run.classes,
        fingerprint=dataset.fingerprint,
        schema_digest=workload.contract.schema_digest,
        parameters=dict(parameters),
        record=record_of([found[f"seed {seed}"] for seed in seeds]),
        run_seed=run_seed,
        rounds=own.fitted.rounds,
        rows={name: len(part) for name, part in splits._asdict().items()},
        threshold=own.threshold,
        figures=estimates(judged, run.classes, resamples=run.resamples),
        confusion=details.confusion_of(judged, len(run.classes)),
        reliability=reliability(judged.labels, judged.probabilities),
        curves=details.curves_of(judged, run.classes),
        slices=details.slices_of(run, splits.test, judged),
        ablations=tuple(found[f"ablation {name}"] for name in ablations),
        perturbations=perturbations,
        time_ordered=by_time,
        time_ordered_reason=no_time,
        importance=importance,
        importance_reason=no_importance,
        errors=errors,
        error_count=error_count,
    )
    steps.done("slices and importance")
    return Evaluated(evaluation, judged)


def _own_model(run: Run, splits: Splits, given: tuple[Featuriser, Fitted] | None) -> Model:
    if given is None:
        return fitted_model(run, splits, seed=run.seed)
    return with_threshold(run, *given, run.rows(splits.validation), run.groups(splits.validation))


def _by_time(run: Run) -> tuple[TimeOrdered | None, str | None]:
    if run.dataset.split_by_time is None:
        return None, "the data has no dates"
    try:
        splits = run.dataset.split_by_time()
        check_split(run, splits, what="Time-ordered split")
    except CallerError as exc:
        # Data without a usable order in time is still data: the report says why this part is missing.
        return None, exc.message
    return time_ordered(run, splits), None


class _Steps:
    """Counts what is done."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        self._done, self._total, self._on_step = 0, total, on_step

    def done(self, what: str) -> None:
        self._done += 1
        self._on_step(self._done, self._total, what)
