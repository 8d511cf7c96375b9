"""A run of the training pipeline on this machine: what is known of it, and how it ends badly."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kit.errors import OperationalError, Refused, SluiceError
from pipelines.journal import Event, Kind

REQUEST: Final = "request.json"
SUMMARY: Final = "summary.json"


class StepRefused(Refused):
    """A gate of the pipeline said no."""

    code = "step_refused"
    title = "Refused by a step of the pipeline"


class StepFailed(OperationalError):
    """A step of the pipeline failed."""

    code = "step_failed"
    title = "A step of the pipeline failed"


class Stopped(SluiceError):
    """A person or the machine stopped the run."""

    status = 499
    code = "run_stopped"
    title = "Stopped"


@dataclass
class Run:
    """What is known of a run while it goes on."""

    id: str
    folder: Path
    mlflow_run_id: str
    events: list[Event] = field(default_factory=list)

    def failure(self) -> Event | None:
        """Returns the event of the step that failed, if one did."""
        return next((event for event in self.events if event.kind is Kind.FAILED), None)

    def figures(self) -> dict[str, Any]:
        """Returns the key figures of each step that is done, by step and name."""
        done = [event for event in self.events if event.kind in {Kind.DONE, Kind.REUSED}]
        return {event.step: event.figures for event in done}

    def last_step(self) -> str:
        """Returns the step that was heard of last."""
        return self.events[-1].step if self.events else "load"

    def output(self, step: str) -> Path | None:
        """Returns the output folder of a step that is done, or None."""
        found = [Path(event.output) for event in self.events if event.step == step and event.output]
        return found[-1] if found else None
