"""The driver's side of Ray Tune: what is asked of it, and what is written down when a trial ends."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kit.errors import OperationalError
from training.objectives import Objective
from training.search_journal import Journal
from training.search_space import decoded, distributions, encoded
from training.selection import Selection, selected
from training.settings import TrainingSettings
from training.trial_run import ERROR, LOSS, ROUND, ROUNDS, SECONDS, VALUE, VALUES
from training.trials import Progress, SearchPlan, Trial, TrialStatus
from training.workload import Workload

OnTrial = Callable[[Trial, Progress], None]
"""Called in the driver after each trial that ended; what it raises ends the search."""

_GIVE_UP_AFTER: Final = 3
_RUNGS: Final = 8


class SearchFailed(OperationalError):
    """No trial finished, or the first ones all failed."""

    code = "search_failed"
    title = "Search failed"


def rungs(settings: TrainingSettings) -> list[int]:
    """Returns the boosting rounds after which trials are compared, ascending."""
    if not settings.search_stopping:
        return []
    return [round(settings.search_grace_rounds * settings.search_reduction**step) for step in range(_RUNGS)]


def searcher(workload: Workload, objective: Objective, plan: SearchPlan, earlier: Sequence[Trial]) -> Any:
    """Returns Optuna's TPE for Ray Tune, which knows the earlier trials and tries the defaults first."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    class Search(OptunaSearch):
        """As Ray has it, but a result may be of a round and have no value yet."""

        def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
            if VALUE in result:
                super().on_trial_result(trial_id, result)

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            super().on_trial_complete(trial_id, result, error or ERROR in (result or {}))

    optuna.logging.disable_default_handler()
    defaults = encoded(workload.defaults, workload.search_space)
    search = Search(
        distributions(workload.search_space),
        metric=VALUE,
        mode="max" if objective.maximised else "min",
        points_to_evaluate=[] if earlier else [defaults],
        # A second part that began with the same seed would try the points of the first again.
        sampler=optuna.samplers.TPESampler(seed=plan.seed + 1_000_003 * len(earlier)),
    )
    for trial in earlier:
        point = encoded(trial.parameters, workload.search_space)
        # None is what Optuna wants of a trial that was stopped.
        search.add_evaluated_point(point, trial.value, pruned=trial.value is None)  # type: ignore[arg-type]
    return search


def scheduler(settings: TrainingSettings) -> Any:
    """Returns ASHA on the log loss after equal numbers of rounds, or None if trials are not to be stopped."""
    from ray.tune.schedulers import ASHAScheduler

    steps = rungs(settings)
    if not steps:
        return None
    return ASHAScheduler(
        time_attr=ROUND,
        metric=LOSS,
        mode="min",
        grace_period=steps[0],
        reduction_factor=settings.search_reduction,
        max_t=steps[-1],
    )


@dataclass
class Watch:
    """Writes down every trial that ends, then tells the caller."""

    workload: Workload
    objective: Objective
    plan: SearchPlan
    journal: Journal
    earlier: Sequence[Trial]
    on_trial: OnTrial | None
    started: float
    margin: float
    """See `training.selection.selected`."""

    def __post_init__(self) -> None:
        self.trials = list(self.earlier)
        self.error: Exception | None = None
        """What ends the search: Tune takes an error in a callback for one of the trial, and goes on."""

    def selection(self) -> Selection | None:
        """Returns what would be taken if no further trial ended; None if none has finished."""
        return selected(
            self.trials, self.workload.defaults, maximised=self.objective.maximised, margin=self.margin
        )

    def ended(self, point: dict[str, Any], result: dict[str, Any], error: str | None) -> None:
        """Takes down one trial that ended; `error` is set if that must be the last one."""
        if self.error is not None:
            return
        try:
            self._take_down(point, result, error)
        except Exception as exc:  # noqa: BLE001 - raised again by `tune`, when Tune has stopped
            self.error = exc

    def _take_down(self, point: dict[str, Any], result: dict[str, Any], error: str | None) -> None:
        error = error or result.get(ERROR)
        status = TrialStatus.FINISHED if VALUE in result else TrialStatus.STOPPED
        trial = Trial(
            number=len(self.trials),
            parameters=decoded(point, self.workload.search_space, self.workload.defaults),
            status=TrialStatus.FAILED if error else status,
            value=result.get(VALUE),
            values=tuple(result.get(VALUES, ())),
            rounds=result.get(ROUNDS, result.get(ROUND)),
            seconds=float(result.get(SECONDS, result.get("time_total_s", 0.0))),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            error=error,
        )
        self.trials.append(trial)
        self.journal.append(trial)
        if self.on_trial is not None:
            taken, seconds = self.selection(), time.monotonic() - self.started
            best = None if taken is None else taken.trial
            self.on_trial(trial, Progress(len(self.trials), self.plan.trials, best, seconds))
        if len(self.trials) >= _GIVE_UP_AFTER and all(
            trial.status is TrialStatus.FAILED for trial in self.trials
        ):
            raise SearchFailed(
                f"The first {len(self.trials)} trials all failed, the last one so: {trial.error}",
                next_step="Mend the estimator or the data, then search again.",
            )


def callback(watch: Watch) -> Any:
    """Returns `watch` as a callback of Ray Tune."""
    from ray.tune import Callback

    class Ended(Callback):
        # ruff: noqa: ARG002 - the signatures are those of ray.tune.Callback

        def __getstate__(self) -> dict[str, Any]:
            # Tune pickles its callbacks beside the run; the caller's own may hold connections and terminals.
            return {}

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            watch.ended(trial.config, trial.last_result or {}, None)

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            times = trial.num_failures
            watch.ended(trial.config, {}, f"Its process died {times} {'time' if times == 1 else 'times'}.")

    return Ended()


def stopper(watch: Watch) -> Any:
    """Returns what ends the experiment when `watch` holds an error."""
    from ray.tune import Stopper

    class OnError(Stopper):
        def __getstate__(self) -> dict[str, Any]:
            return {}

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return watch.error is not None

    return OnError()


def tune(
    trainable: Any, watch: Watch, *, seconds: float | None, cpus: int, storage: str,
    settings: TrainingSettings,
) -> None:  # fmt: skip
    """Runs the trials that are left, one for each CPU at once, and returns when all have ended.

    Raises:
        Exception: whatever the caller's `on_trial` raised.
        SearchFailed: the first trials all failed: the rest would too.
    """
    import uuid

    from ray import tune

    tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            num_samples=watch.plan.trials - len(watch.earlier),
            max_concurrent_trials=cpus,
            time_budget_s=seconds,
            reuse_actors=True,
            search_alg=searcher(watch.workload, watch.objective, watch.plan, watch.earlier),
            scheduler=scheduler(settings),
        ),
        run_config=tune.RunConfig(
            name=f"search-{uuid.uuid4().hex[:8]}",
            storage_path=storage,
            callbacks=[callback(watch)],
            stop=stopper(watch),
            failure_config=tune.FailureConfig(max_failures=settings.worker_retries),
            verbose=0,
        ),
    ).fit()
    if watch.error is not None:
        raise watch.error
