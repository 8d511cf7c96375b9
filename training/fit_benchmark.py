"""What search, fit and prediction cost, for `sluice bench`."""

import resource
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from kit.benchmark import Figure, median_seconds
from kit.home import Home
from kit.onnx_function import OnnxFunction
from training import workloads
from training.export import export
from training.featurising import Fold, featurised
from training.search import search
from training.settings import TrainingSettings
from training.trials import SearchPlan, TrialStatus
from training.workload import Dataset, Featuriser, Fitted, Referenced, Splits, Workload

SEED: Final = 7
TRIALS: Final = 8
_ONE_BY_ONE: Final = 50
_REPEATS: Final = 3


def fit(home: Home) -> list[Figure]:
    """Returns rows per second of fit and of predict, ONNX against the library, a search, and peak memory.

    Everything is measured on the default workload's data of this home, with its default parameters.

    Raises:
        kit.errors.SluiceError: there is no data yet; `next_step` says what to run.
    """
    return figures(workloads.find(workloads.DEFAULT), home, trials=TRIALS)


def figures(workload: Workload, home: Home, *, trials: int) -> list[Figure]:
    """Returns the figures of `fit`, of any workload and with a search of so many trials."""
    dataset = workload.load(home)
    splits = dataset.split(SEED)
    featuriser, fitted, found = _fit_figures(workload, dataset, splits)
    found += _answer_figures(workload, featuriser, fitted, dataset, splits)
    found.append(_search_figure(workload, dataset, splits, trials))
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return [*found, Figure("peak memory of the process that measured", peak / 2**20, "MiB")]


def _fit_figures(
    workload: Workload, dataset: Dataset, splits: Splits
) -> tuple[Featuriser, Fitted, list[Figure]]:
    estimator, parameters, rows = workload.estimator, workload.defaults, dataset.rows
    train = rows.take(splits.train)
    featuriser = estimator.fit_featuriser(parameters, train)
    tables = featurised(estimator, parameters, rows, Fold(splits.train, splits.validation))
    judged = (tables.judge, rows.labels[splits.validation])

    def fit_once() -> Fitted:
        return estimator.fit(parameters, tables.fit, train.labels, validation=judged, seed=SEED)

    fitted = fit_once()
    seconds = median_seconds(fit_once, repeats=_REPEATS)
    features = median_seconds(lambda: estimator.fit_featuriser(parameters, train), repeats=_REPEATS)
    shape = f"{len(train):,} x {tables.fit.shape[1]}, {fitted.rounds} rounds that count"
    return (
        featuriser,
        fitted,
        [
            Figure("fit of the estimator", len(train) / seconds, "rows/s", note=f"{seconds:.2f} s; {shape}"),
            Figure("fit of the featuriser", len(train) / features, "rows/s", note=f"{features:.2f} s"),
        ],
    )


def _answer_figures(
    workload: Workload, featuriser: Featuriser, fitted: Fitted, dataset: Dataset, splits: Splits
) -> list[Figure]:
    test = dataset.rows.take(splits.test)
    graph = OnnxFunction(export(workload, featuriser, fitted))
    asked = range(min(_ONE_BY_ONE, len(test)))
    few = [{name: values[row : row + 1] for name, values in test.inputs.items()} for row in asked]

    def library(inputs: Any) -> object:
        matrix = featuriser.fitted_matrix if isinstance(featuriser, Referenced) else featuriser.matrix
        return fitted.probabilities(matrix(inputs))

    whole = median_seconds(lambda: graph(test.inputs), repeats=_REPEATS)
    ours = median_seconds(lambda: [graph(row) for row in few], repeats=_REPEATS) / len(few)
    theirs = median_seconds(lambda: [library(row) for row in few], repeats=_REPEATS) / len(few)
    return [
        Figure("predict, ONNX, all test rows at once", len(test) / whole, "rows/s"),
        Figure(
            "predict, ONNX, one row at a time",
            1e6 * ours,
            "µs/row",
            aim="30 times faster",
            peer="the fitted libraries (ratio of speeds)",
            ratio=theirs / ours,
            note=f"{1e6 * theirs:,.0f} µs/row there",
        ),
    ]


def _search_figure(workload: Workload, dataset: Dataset, splits: Splits, trials: int) -> Figure:
    settings = TrainingSettings.load()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        plan = SearchPlan(trials=trials, seed=SEED, folds=settings.search_folds)
        found = search(workload, dataset, splits, plan, storage=Path(folder), settings=settings)
    stopped = sum(trial.status is TrialStatus.STOPPED for trial in found.trials)
    busy = sum(trial.seconds for trial in found.trials)
    return Figure(
        f"search, {trials} trials on {settings.search_folds} folds, start of Ray included",
        found.seconds,
        "s",
        note=f"{busy:.0f} s within trials, {stopped} stopped early, {found.featurisers} featurisers",
    )
