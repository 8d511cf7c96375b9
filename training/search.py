"""Search for the best parameters of a workload with Ray Tune, Optuna and ASHA.

    plan = SearchPlan(trials=20, seed=7)
    found = search(workload, dataset, dataset.split(7), plan, storage=folder, settings=settings)
    found.parameters, found.value

Every trial is written to `storage` the moment it ends, so a search that was killed goes on where it was:
`SearchPlan(..., resume=True)`. The same call runs on this machine or, with RAY_ADDRESS, on a cluster.
"""

import functools
import shutil
import time
from pathlib import Path
from typing import Any, Final

from kit.errors import UsageError
from kit.files import locked, write_text
from kit.ray.session import opened
from training import search_driver
from training.featurising import shared
from training.folds import folds
from training.objectives import objective_named
from training.search_driver import OnTrial, SearchFailed, Watch
from training.search_journal import Journal, identity
from training.search_space import from_json
from training.settings import TrainingSettings
from training.trial_run import TrialWork, run
from training.trials import SearchPlan, SearchResult, TrialStatus, as_json
from training.workload import Dataset, Splits, Workload

RAY_LOG: Final = "ray.log"
_RAY_STATE: Final = "ray"


def search(
    workload: Workload,
    dataset: Dataset,
    splits: Splits,
    plan: SearchPlan,
    *,
    storage: Path,
    settings: TrainingSettings,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Returns the parameters that are taken after `plan.trials` trials, and every trial.

    These are the best, or the workload's defaults if none is better beyond noise: see training/selection.py.

    Trials that failed in an earlier part are forgotten and tried again; finished and stopped ones count.

    Args:
        workload: Whose estimator and search space are used; its defaults are the first trial.
        dataset: What is learnt from; the test rows are never looked at.
        splits: Of `dataset`.
        plan: What is asked for.
        storage: Folder of this search alone: its journal and what Ray says. It is made if need be.
        settings: Of Ray and of the stopping of trials.
        on_trial: Called in this process after each trial that ended.

    Raises:
        UsageError: fewer than one trial is asked for, or an unknown objective.
        TooFewRows: a part of the data lacks a class.
        SearchDiffers: `storage` holds another search, and `plan.resume` asks to go on with it.
        Locked: another process searches in `storage`.
        SearchFailed: no trial finished.
        RayUnavailable: Ray did not start or does not answer.
    """
    started = time.monotonic()
    if plan.trials < 1:
        raise UsageError(f"A search needs at least one trial, not {plan.trials}.")
    objective = objective_named(plan.objective)
    parts = folds(dataset, splits, count=plan.folds, seed=plan.seed)
    with locked(storage / "search.lock", what=f"A search in {storage}"):
        journal = Journal(storage, identity(workload, dataset, splits, plan), workload)
        if not plan.resume:
            journal.begin()
        earlier = journal.read()
        if any(trial.status is TrialStatus.FAILED for trial in earlier):
            journal.begin()
            earlier = [trial for trial in earlier if trial.status is not TrialStatus.FAILED]
            earlier = [trial.model_copy(update={"number": number}) for number, trial in enumerate(earlier)]
            for trial in earlier:
                journal.append(trial)
        watch = Watch(
            workload, objective, plan, journal, earlier, on_trial, started, margin=settings.search_margin
        )
        fitted = 0
        if len(earlier) < plan.trials:
            with opened(settings, log=storage / RAY_LOG) as cpus:
                fitted = _tuned(watch, dataset, parts, settings, storage, cpus)
        taken = watch.selection()
        if taken is None:
            raise _nothing_finished(watch)
    return SearchResult(
        best=taken.trial,
        defaults=taken.defaults,
        noise=taken.noise,
        trials=tuple(watch.trials),
        objective=objective.name,
        maximised=objective.maximised,
        seconds=time.monotonic() - started,
        resumed=len(earlier),
        featurisers=fitted,
    )


def write_result(result: SearchResult, path: Path) -> None:
    """Writes `result` as JSON to `path`, whole or not at all."""
    plain = result.model_copy(
        update={
            "best": _plain(result.best),
            "defaults": None if result.defaults is None else _plain(result.defaults),
            "trials": tuple(_plain(trial) for trial in result.trials),
        }
    )
    write_text(path, plain.model_dump_json(indent=1) + "\n")


def read_result(path: Path, workload: Workload) -> SearchResult:
    """Returns what `write_result` wrote, equal to what it was given: JSON alone makes lists of tuples."""
    result = SearchResult.model_validate_json(path.read_text(encoding="utf-8"))

    def typed(trial: Any) -> Any:
        parameters = from_json(trial.parameters, workload.search_space, workload.defaults)
        return trial.model_copy(update={"parameters": parameters})

    trials = tuple(typed(trial) for trial in result.trials)
    defaults = None if result.defaults is None else typed(result.defaults)
    return result.model_copy(update={"best": typed(result.best), "defaults": defaults, "trials": trials})


def _tuned(
    watch: Watch, dataset: Dataset, parts: Any, settings: TrainingSettings, storage: Path, cpus: int
) -> int:
    import ray

    workload, plan = watch.workload, watch.plan
    labels = dataset.rows.labels
    featurisers = shared(workload.estimator, dataset.rows, parts, retries=settings.worker_retries)
    work = TrialWork(
        estimator=workload.estimator,
        space=workload.search_space,
        defaults=workload.defaults,
        objective=plan.objective,
        seed=plan.seed,
        featurisers=featurisers,
        labels=tuple((labels[fold.fit], labels[fold.judge]) for fold in parts),
        rungs=frozenset(search_driver.rungs(settings)),
    )
    seconds = plan.time_budget_seconds
    if seconds is not None:
        seconds = max(1.0, seconds - (time.monotonic() - watch.started))
    state = storage / _RAY_STATE
    shutil.rmtree(state, ignore_errors=True)
    try:
        search_driver.tune(
            functools.partial(run, work=work),
            watch,
            seconds=seconds,
            cpus=cpus,
            storage=settings.ray_storage or str(state.absolute()),
            settings=settings,
        )
        return int(ray.get(featurisers.count.remote()))
    finally:
        ray.kill(featurisers)
        # The journal holds all that is worth keeping; this is Tune's own memory of the run.
        shutil.rmtree(state, ignore_errors=True)


def _plain(trial: Any) -> Any:
    return trial.model_copy(update={"parameters": as_json(trial.parameters)})


def _nothing_finished(watch: Watch) -> SearchFailed:
    failed = [trial for trial in watch.trials if trial.status is TrialStatus.FAILED]
    if failed:
        return SearchFailed(
            f"No trial finished; the last one failed so: {failed[-1].error}",
            next_step="Mend the estimator or the data, then search again.",
        )
    return SearchFailed(
        f"No trial finished within {watch.plan.time_budget_seconds} seconds.",
        next_step="Give more time, or resume: the time counts anew.",
    )
