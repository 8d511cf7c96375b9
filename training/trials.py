"""What a search is asked for, what it tells on the way, and what it found."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from training.workload import Parameters


class TrialStatus(StrEnum):
    """How a trial ended."""

    FINISHED = "finished"
    """It was fitted and judged; it has a value."""

    STOPPED = "stopped"
    """It was far behind the others after as many rounds, or the time was over; it has no value."""

    FAILED = "failed"
    """Its fit raised an error, or its process died more than once."""


@dataclass(frozen=True)
class SearchPlan:
    """What one search is asked for."""

    trials: int
    """How many points are tried in all, the workload's defaults first; those of an earlier part count."""
    seed: int
    time_budget_seconds: float | None = None
    """Longest run; what is not finished by then is stopped. None: as long as it takes."""
    objective: str = "f1"
    """What is made best, by its name in `training.objectives.OBJECTIVES`."""
    folds: int = 0
    """0: judged on the validation rows. From 2: the mean over grouped folds of the training rows."""
    resume: bool = False
    """Go on with what the storage folder holds; False begins anew."""


class Trial(BaseModel):
    """One tried point; its parameters are complete: the defaults with the sampled values in place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    """From 0, in the order in which trials ended."""
    parameters: dict[str, Any]
    status: TrialStatus
    value: float | None
    """Of the objective, the mean over the folds; None unless finished."""
    values: tuple[float, ...] = ()
    """Of the objective on each fold; empty unless finished."""
    rounds: int | None
    """Boosting rounds that count (the mean over folds, rounded), or the last one that was reported."""
    seconds: float
    finished_at: str
    """UTC, ISO 8601."""
    error: str | None = None
    """Why it failed, in a sentence."""


@dataclass(frozen=True)
class Progress:
    """How far a search is, after each trial that ended."""

    ended: int
    total: int
    best: Trial | None
    """What would be taken if the search ended now."""
    seconds: float
    """Since the search, or this part of it, began."""


class SearchResult(BaseModel):
    """What a search found. It serialises to JSON; read it back with `training.search.read_result`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    best: Trial
    """The one that is taken: see training/selection.py."""
    defaults: Trial | None = None
    """The workload's own point; None if its trial has not finished."""
    noise: float | None = None
    """What the best trial had to be ahead of the defaults by; None if the folds cannot tell."""
    trials: tuple[Trial, ...]
    """Every one that ended, those of an earlier part included."""
    objective: str
    maximised: bool
    seconds: float
    """Of this part of the search, start of Ray included."""
    resumed: int
    """How many trials came from an earlier part."""
    featurisers: int
    """How many featurisers were fitted in this part: one for each distinct key and fold."""

    @property
    def parameters(self) -> Parameters:
        """The parameters that were taken, complete."""
        return self.best.parameters

    @property
    def value(self) -> float:
        """The objective's value at the parameters that were taken."""
        assert self.best.value is not None, "a trial that is taken is a finished one"  # noqa: S101
        return self.best.value

    def best_so_far(self) -> list[float]:
        """Returns the best value after each finished trial, for a plot."""
        better = max if self.maximised else min
        line: list[float] = []
        for trial in self.trials:
            if trial.value is not None:
                line.append(better(line[-1], trial.value) if line else trial.value)
        return line


def as_json(parameters: Parameters) -> dict[str, JsonValue]:
    """Returns `parameters` as JSON can hold them: tuples become lists, numpy scalars plain numbers."""
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: Any) -> JsonValue:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    item = getattr(value, "item", None)
    plain: JsonValue = item() if callable(item) else value
    return plain
