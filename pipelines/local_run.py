"""A run of the training pipeline on this machine: started, followed, closed; nothing of it is left running.

The order keeps the promises: one run at a time, the registry answers before anything starts, the run stands
in the records before its first step, and its end is written however it ends.
"""

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from kit.files import locked, write_text
from kit.home import Home
from kit.interrupts import terminating_as_interrupt
from pipelines.journal import Event, Follower
from pipelines.local_closing import Closing, close_abandoned
from pipelines.process_group import ProcessGroup
from pipelines.request import Request
from pipelines.run import REQUEST, Run, Stopped
from pipelines.settings import PipelinesSettings
from pipelines.task import LOGS, RUNS, STEPS
from records.model_versions import RunState
from training import registry, run_records, workloads
from training.registry import Registry
from training.settings import TrainingSettings

_POLL_SECONDS: Final = 0.1

OnEvent = Callable[[Event], None]
Steps = Callable[[Run, OnEvent], int]
"""Runs the steps, tells of each event, and returns the exit code of whatever ran them."""


def run_pipeline(
    home: Home, request: Request, on_event: OnEvent, *, steps: Steps | None = None
) -> dict[str, Any]:
    """Returns the summary of a run that ended well: figures, version, places to look.

    `steps` are those of the pipeline, in a process of their own, unless it is given.

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
        closing = Closing(run, request, tracking)
        try:
            code = (steps or partial(_followed, home, request, settings, training))(run, on_event)
        except KeyboardInterrupt as exc:
            unwritten = closing.stopped()
            raise Stopped(
                f"The run was stopped; nothing of it is left running, and nothing was registered after step "
                f"{run.last_step()}.{unwritten}",
                next_step="Go on where it was: sluice pipeline run --from-step "
                f"{run.last_step()}, with the same options.",
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
            announced=request.announced,
        )
        close_abandoned(home, tracking)
        (folder / LOGS).mkdir(parents=True)
        write_text(folder / REQUEST, json.dumps(arguments, indent=1) + "\n")
    except BaseException:
        tracking.end_run(run.mlflow_run_id, RunState.FAILED)
        raise
    return run


def _followed(
    home: Home,
    request: Request,
    settings: PipelinesSettings,
    training: TrainingSettings,
    run: Run,
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


def _prune(home: Home, keep: int) -> None:
    """Removes what the steps of older runs wrote; their logs and summaries stay."""
    runs = sorted(path for path in (home.root / RUNS).iterdir() if path.is_dir())
    for old in runs[:-keep]:
        shutil.rmtree(old / STEPS, ignore_errors=True)
