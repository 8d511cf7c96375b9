"""A run of the training pipeline on this machine: started, followed, closed; nothing of it is left running.

The order keeps the promises: one run at a time, the registry answers before anything starts, the run stands
in the records before its first step, and its end is written however it ends.
"""

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kit.errors import OperationalError, Refused, SluiceError
from kit.files import locked, write_text
from kit.home import Home
from kit.interrupts import terminating_as_interrupt
from pipelines.journal import Event, Failure, Follower, Kind
from pipelines.process_group import ProcessGroup
from pipelines.request import Request
from pipelines.settings import PipelinesSettings
from pipelines.task import LOGS, RUNS, STEPS
from records.model_versions import RunState
from records.tables.experiment_runs import RunStatus
from training import registry, run_records, workloads
from training.registry import Registry
from training.settings import TrainingSettings

REQUEST: Final = "request.json"
SUMMARY: Final = "summary.json"
UNWRITTEN: Final = "unwritten"
"""In a summary: why the records or MLflow do not know how the run ended."""
_LONGEST_REASON: Final = 2000
_POLL_SECONDS: Final = 0.1


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

    def output(self, step: str) -> Path | None:
        """Returns the output folder of a step that is done, or None."""
        found = [Path(event.output) for event in self.events if event.step == step and event.output]
        return found[-1] if found else None


OnEvent = Callable[[Event], None]


def run_pipeline(home: Home, request: Request, on_event: OnEvent) -> dict[str, Any]:
    """Returns the summary of a run that ended well: figures, version, places to look.

    Raises:
        StepRefused: a gate said no; the reasons are its own.
        StepFailed: a step failed.
        Stopped: the run was interrupted; everything it started has ended.
        Locked: another run is under way in this home.
        RegistryUnavailable: MLflow does not answer; nothing was started.
    """
    settings, training = PipelinesSettings.load(), TrainingSettings.load()
    workloads.find(request.workload)
    with (
        locked(home.root / RUNS / ".lock", what=f"A run of the pipeline in {home.root}"),
        terminating_as_interrupt(),
    ):
        tracking = registry.opened(home, timeout_seconds=training.registry_timeout_seconds)
        run = _begun(home, request, training, tracking)
        closing = _Closing(run, request, tracking)
        try:
            code = _followed(run, home, request, settings, training, on_event)
        except KeyboardInterrupt as exc:
            unwritten = closing.stopped()
            raise Stopped(
                f"The run was stopped; nothing of it is left running, and nothing was registered after step "
                f"{_last(run)}.{unwritten}",
                next_step="Go on where it was: sluice pipeline run --from-step "
                f"{_last(run)}, with the same options.",
            ) from exc
        except BaseException as error:
            if unwritten := closing.failed(["The command itself failed."]):
                error.add_note(unwritten.strip())
            raise
        _prune(home, settings.keep_runs)
        return closing.ended(code)


def _begun(home: Home, request: Request, training: TrainingSettings, tracking: Registry) -> Run:
    identity = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = home.root / RUNS / identity
    arguments = request.arguments(training)
    tags = {"trigger": request.trigger.value}
    run = Run(identity, folder, tracking.begin_run(request.workload, identity, run=identity, tags=tags))
    try:
        run_records.begin(
            identity,
            request.workload,
            arguments,
            trigger=request.trigger,
            trigger_reason=request.trigger_reason,
        )
        close_abandoned(home)
        (folder / LOGS).mkdir(parents=True)
        write_text(folder / REQUEST, json.dumps(arguments, indent=1) + "\n")
    except BaseException:
        tracking.end_run(run.mlflow_run_id, RunState.FAILED)
        raise
    return run


def close_abandoned(home: Home) -> None:
    """Writes how the runs of this home ended that the records still hold for open; call it under the lock.

    A run that has a request and no summary was begun and never closed, and under the lock none is under way:
    its command was killed. One whose end could not be written down ended as its summary says.
    """
    for folder in sorted((home.root / RUNS).glob("*/")):
        if not (folder / REQUEST).exists():
            continue
        request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        told = {
            "run": folder.name,
            "workload": request["workload"],
            "status": RunStatus.FAILED.value,
            "reasons": ["The command was killed."],
        }
        if (folder / SUMMARY).exists():
            told = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
            if not told.pop(UNWRITTEN, ()):
                continue
        outcome = run_records.Outcome(
            status=RunStatus(told["status"]),
            figures=told.get("figures", {}),
            reasons=[str(reason)[:_LONGEST_REASON] for reason in told["reasons"]],
            model_version=told.get("version"),
        )
        with contextlib.suppress(run_records.RunUnknown):
            run_records.finish(folder.name, request["workload"], outcome)
        write_text(folder / SUMMARY, json.dumps(told, ensure_ascii=False, indent=1) + "\n")


def _followed(
    run: Run,
    home: Home,
    request: Request,
    settings: PipelinesSettings,
    training: TrainingSettings,
    on_event: OnEvent,
) -> int:
    """Runs the steps in a process of their own and returns its exit code; an interrupt ends them all."""
    command = (
        sys.executable,
        "-m",
        "pipelines.local_process",
        str(run.folder),
        json.dumps(request.arguments(training)),
    )
    follower = Follower(run.folder)

    def follow() -> None:
        for event in follower.new():
            run.events.append(event)
            on_event(event)

    with (run.folder / LOGS / "runner.log").open("wb") as log:
        group = ProcessGroup(command, environment=_environment(run, home, request), log=log)
        try:
            while (code := group.poll()) is None:
                follow()
                time.sleep(_POLL_SECONDS)
            follow()
            return code
        finally:
            group.stop(settings.stop_grace_seconds)


def _environment(run: Run, home: Home, request: Request) -> Mapping[str, str]:
    return {
        **os.environ,
        "SLUICE_HOME": str(home.root),
        "PIPELINES_RUN_ID": run.id,
        "PIPELINES_RUN_FOLDER": str(run.folder),
        "PIPELINES_REUSE_BEFORE": request.from_step or "",
        # kfp sends no reports, but what it imports might.
        "PYTHONUNBUFFERED": "1",
    }


class _Closing:
    """Writes down how a run ended: in the records, in MLflow and beside its logs."""

    def __init__(self, run: Run, request: Request, tracking: Registry) -> None:
        self._run = run
        self._request = request
        self._tracking = tracking

    def ended(self, code: int) -> dict[str, Any]:
        """Returns the summary if the run ended well, and raises what failed otherwise."""
        failed = self._run.failure()
        if failed is not None and failed.failure is not None:
            raise self._told(failed.step, failed.failure)
        if code != 0 or self._run.output("stage") is None:
            unwritten = self.failed([f"The runner left with exit code {code}."])
            raise StepFailed(
                f"The runner left with exit code {code} after step {_last(self._run)}, without a word."
                f"{unwritten}",
                next_step=f"Read {self._run.folder / LOGS / 'runner.log'}",
            )
        summary, errors = self._close(RunStatus.ACCEPTED, RunState.FINISHED, ())
        if errors:
            raise errors[0]
        return summary

    def failed(self, reasons: Sequence[str]) -> str:
        """Writes that the run failed; returns a sentence if that could not be written."""
        return self._noted(RunStatus.FAILED, RunState.FAILED, reasons)

    def stopped(self) -> str:
        """Writes that the run was stopped; returns a sentence if that could not be written."""
        return self._noted(RunStatus.FAILED, RunState.KILLED, [f"Stopped in step {_last(self._run)}."])

    def _told(self, step: str, failure: Failure) -> SluiceError:
        refused = failure.exit_code == Refused.exit_code
        reasons = failure.reasons or (failure.message,)
        if refused:
            unwritten = self._noted(RunStatus.REFUSED, RunState.FINISHED, reasons)
        else:
            unwritten = self.failed((f"{failure.title}: {failure.message}", *failure.reasons))
        log = self._run.folder / LOGS / f"{step}.log"
        message = f"{step}: {failure.message}"
        next_step = f"{failure.next_step or ''} The log is {log}".strip()
        if refused:
            return StepRefused(f"{message}{unwritten}", reasons=reasons, next_step=next_step)
        return StepFailed(f"{message} ({failure.title}){unwritten}", next_step=next_step)

    def _noted(self, status: RunStatus, state: RunState, reasons: Sequence[str]) -> str:
        """Closes a run that did not end well: what it ended with is told first, whatever fails here."""
        _, errors = self._close(status, state, reasons)
        if not errors:
            return ""
        return f" The end of the run could not be written down: {'; '.join(map(_sentence, errors))}"

    def _close(
        self, status: RunStatus, state: RunState, reasons: Sequence[str]
    ) -> tuple[dict[str, Any], list[Exception]]:
        """Returns the summary, and the errors of the places that could not be told; each place is tried."""
        run = self._run
        figures = run.figures()
        version = figures.get("register", {}).get("version")
        quality = figures.get("evaluate", {})
        outcome = run_records.Outcome(
            status=status,
            figures=quality,
            reasons=[str(reason)[:_LONGEST_REASON] for reason in reasons],
            mlflow_run_id=run.mlflow_run_id,
            model_version=version,
            data_fingerprint=str(figures.get("features", {}).get("data", ""))[-64:] or None,
            schema_digest=workloads.find(self._request.workload).contract.schema_digest,
        )
        errors: list[Exception] = []
        link = ""
        with _collected(errors):
            run_records.finish(run.id, self._request.workload, outcome)
        with _collected(errors):
            self._tracking.log(run.mlflow_run_id, tags={"outcome": status.value})
            self._tracking.end_run(run.mlflow_run_id, state)
            link = self._tracking.run_link(run.mlflow_run_id)
        summary = {
            "run": run.id,
            "workload": self._request.workload,
            "status": status.value,
            "version": version,
            "figures": quality,
            "reasons": list(reasons),
            "steps": {
                event.step: {"seconds": event.seconds, "what": event.kind.value, **event.figures}
                for event in run.events
                if event.kind in {Kind.DONE, Kind.REUSED, Kind.FAILED}
            },
            "links": {
                "folder": str(run.folder),
                "logs": str(run.folder / LOGS),
                "mlflow": link,
                **{
                    name: str(found)
                    for name, found in {
                        "bundle": _inside(run.output("export"), "bundle"),
                        "report": _inside(run.output("gate"), "report")
                        or _inside(run.output("evaluate"), "report"),
                    }.items()
                    if found
                },
            },
        }
        if errors:
            summary[UNWRITTEN] = [_sentence(error) for error in errors]
        with _collected(errors):
            write_text(
                run.folder / SUMMARY, json.dumps(summary, ensure_ascii=False, indent=1, default=str) + "\n"
            )
        return summary, errors


@contextlib.contextmanager
def _collected(errors: list[Exception]) -> Iterator[None]:
    """Keeps what a neighbour or the disk says, so that the next place is told all the same."""
    try:
        yield
    except (SluiceError, OSError) as error:
        errors.append(error)


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, SluiceError) else f"{type(error).__name__}: {error}"


def _inside(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).exists() else None


def _last(run: Run) -> str:
    return run.events[-1].step if run.events else "load"


def _prune(home: Home, keep: int) -> None:
    """Removes what the steps of older runs wrote; their logs and summaries stay."""
    runs = sorted(path for path in (home.root / RUNS).iterdir() if path.is_dir())
    for old in runs[:-keep]:
        shutil.rmtree(old / STEPS, ignore_errors=True)
