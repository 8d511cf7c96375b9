"""What a run is asked for, here or on a cluster."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from records.tables.experiment_runs import Trigger
from training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is asked for; `from_step` is that of a local one."""

    workload: str
    trials: int
    seed: int
    workers: int
    time_budget_seconds: float | None = None
    from_step: str | None = None
    trigger: Trigger = Trigger.MANUAL
    trigger_reason: str | None = None
    announced: UUID | None = None
    """The row of `experiment_runs` that whoever started the run wrote before it."""

    def arguments(self, settings: TrainingSettings) -> dict[str, Any]:
        """Returns the parameters of the pipeline."""
        return {
            "workload": self.workload,
            "seed": self.seed,
            "trials": self.trials,
            "time_budget_seconds": float(self.time_budget_seconds or 0),
            "objective": settings.search_objective,
            "folds": settings.search_folds,
            "workers": self.workers,
            "evaluation_seeds": list(settings.evaluation_seeds),
        }
