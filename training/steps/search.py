"""Search: the best parameters, every trial a nested run of the registry."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from records.model_versions import RunState
from training import registry, snapshot, workloads
from training.search import search, write_result
from training.settings import TrainingSettings
from training.steps.features import ROWS
from training.steps.outputs import key_of
from training.steps.step import Context, Figures, Step
from training.trials import Progress, SearchPlan, Trial, TrialStatus

RESULT: Final = "search.json"
_STATES: Final = {
    TrialStatus.FINISHED: RunState.FINISHED,
    TrialStatus.STOPPED: RunState.KILLED,
    TrialStatus.FAILED: RunState.FAILED,
}


class Search(Step):
    """Tries points of the workload's search space on the training and validation rows."""

    name: ClassVar[str] = "search"
    on_ray: ClassVar[bool] = True

    seed: int
    trials: int
    time_budget_seconds: float | None = None
    objective: str = "f1"
    folds: int = 0

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes search.json.

        Until the search is done its trials are kept outside of the run, under the name of what is searched: a
        run that was killed leaves its finished trials to the next one that searches the same.
        """
        workload = workloads.find(self.workload)
        dataset = snapshot.read(inputs["features"] / ROWS)
        settings = TrainingSettings.load()
        tracking = registry.opened(context.home, timeout_seconds=settings.registry_timeout_seconds)
        parent = tracking.begin_run(self.workload, context.run, run=context.run)

        def log(trial: Trial) -> None:
            figures = {"seconds": trial.seconds}
            if trial.value is not None:
                figures[self.objective] = trial.value
            if trial.rounds is not None:
                figures["rounds"] = trial.rounds
            tracking.log_trial(
                parent,
                f"trial {trial.number}",
                parameters=trial.parameters,
                metrics=figures,
                state=_STATES[trial.status],
                tags={"error": trial.error} if trial.error else None,
            )

        def on_trial(trial: Trial, progress: Progress) -> None:
            best = "" if progress.best is None else f", best {self.objective} {progress.best.value:.4f}"
            context.tell(f"trial {progress.ended} of {progress.total}{best}")
            log(trial)

        plan = SearchPlan(
            trials=self.trials,
            seed=self.seed,
            time_budget_seconds=self.time_budget_seconds,
            objective=self.objective,
            folds=self.folds,
            resume=True,
        )
        same = self.model_copy(update={"trials": 0, "time_budget_seconds": None})
        storage = context.home.root / "searches" / key_of(same, inputs)[:16]
        found = search(
            workload,
            dataset,
            dataset.split(self.seed),
            plan,
            storage=storage,
            settings=settings,
            on_trial=on_trial,
        )
        for trial in found.trials[: found.resumed]:
            log(trial)
        write_result(found, output / RESULT)
        shutil.rmtree(storage)
        figures: Figures = {"trials": len(found.trials), f"best {self.objective}": round(found.value, 4)}
        taken = "the defaults" if found.best == found.defaults else f"trial {found.best.number}"
        return figures | {"taken": taken} | ({"resumed": found.resumed} if found.resumed else {})
