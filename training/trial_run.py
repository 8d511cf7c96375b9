"""One trial, as it runs in a process of Ray."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.errors import Bug, SluiceError
from training.featurising import tables
from training.objectives import OBJECTIVES
from training.search_space import Space, decoded
from training.workload import Estimator, Labels, Parameters, RoundReport

ROUND: Final = "round"
LOSS: Final = "log_loss"
VALUE: Final = "value"
VALUES: Final = "values"
ROUNDS: Final = "rounds"
SECONDS: Final = "seconds"
ERROR: Final = "error"


@dataclass(frozen=True)
class TrialWork:
    """What every trial of a search shares; sent to each worker."""

    estimator: Estimator
    space: Space
    defaults: Parameters
    objective: str
    seed: int
    featurisers: Any
    """Handle of the actor."""
    labels: tuple[tuple[Labels, Labels], ...]
    """Of the rows to fit on and to judge on, for each fold."""
    rungs: frozenset[int]
    """The rounds at which trials are compared; only they are reported: each is a round trip."""


def run(point: Mapping[str, Any], work: TrialWork) -> None:
    """Fits and judges one point and reports to Ray Tune; the body of its function trainable.

    An error of the fit is reported as such and not raised: Ray would only try it again. The death of the
    process is the one thing that Ray tries again.
    """
    from ray import tune

    started = time.monotonic()
    try:
        report = _judged(decoded(point, work.space, work.defaults), work)
    except Exception as exc:  # noqa: BLE001 - the outermost handler of this process
        report = {ERROR: _sentence(exc)}
    tune.report({**report, SECONDS: time.monotonic() - started})


def _judged(parameters: Parameters, work: TrialWork) -> dict[str, Any]:
    objective = OBJECTIVES[work.objective]
    values, rounds = [], []
    for number, (fit_labels, judge_labels) in enumerate(work.labels):
        fit, judge = tables(work.featurisers, parameters, number)
        fitted = work.estimator.fit(
            parameters,
            fit,
            fit_labels,
            validation=(judge, judge_labels),
            seed=work.seed,
            # Trials are compared on their first fold: the others begin again at round 1. The defaults are
            # never stopped: every other trial is held against them.
            on_round=_reporter(work.rungs) if number == 0 and parameters != work.defaults else None,
        )
        values.append(objective.value(judge_labels, fitted.probabilities(judge)))
        rounds.append(fitted.rounds)
    value = float(np.mean(values))
    if not np.isfinite(value):
        return {ERROR: f"The objective {work.objective} is {value}."}
    return {VALUE: value, VALUES: values, ROUNDS: round(float(np.mean(rounds)))}


def _reporter(rungs: frozenset[int]) -> RoundReport:
    from ray import tune

    def report(number: int, figures: Mapping[str, float]) -> None:
        if LOSS not in figures:
            raise Bug(f"The estimator reports rounds without {LOSS}; see training/workload.py, RoundReport.")
        if number in rungs:
            tune.report({ROUND: number, LOSS: float(figures[LOSS])})

    return report


def _sentence(error: BaseException) -> str:
    from ray.exceptions import RayTaskError

    cause = error.cause if isinstance(error, RayTaskError) and error.cause is not None else error
    if isinstance(cause, SluiceError):
        return cause.message
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else 'no message'}"
