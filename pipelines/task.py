"""One task of a pipeline: runs a step where a runner has put it, tells how it goes, and fails in words.

Every component calls `perform` and does nothing else, on a laptop as on a cluster.
"""

import contextlib
import errno
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kit.errors import OperationalError, SluiceError, UsageError
from kit.home import Home, home
from kit.terminal import say
from pipelines.journal import Event, Failure, Journal, Kind
from pipelines.one_ray import borrowed
from pipelines.settings import PipelinesSettings
from training.steps import outputs
from training.steps.step import ORDER, Context, Figures, Step

LOGS: Final = "logs"
RUNS: Final = "runs"
STEPS: Final = "steps"
"""The folder below a run's in which the local runner keeps what tasks write."""


class NothingToReuse(UsageError):
    """`--from-step` found no former output of a step that it would leave out."""

    code = "nothing_to_reuse"
    title = "Nothing to go on from"


class DiskFull(OperationalError):
    """A step could not write."""

    code = "disk_full"
    title = "The disk is full"


def perform(
    step: Step, inputs: Mapping[str, str], output: str, *, origin: Mapping[str, str] | None = None
) -> None:
    """Runs `step` on the outputs of earlier steps and seals what it wrote; leaves the process if it fails.

    The first step of a run on a cluster is told its `origin`: see `pipelines.closing.open_run`.

    With PIPELINES_REUSE_BEFORE an earlier step is not run: its former output for the same data and the same
    parameters takes its place.
    """
    settings = PipelinesSettings.load()
    journal = Journal(settings.run_folder)
    context = Context(
        home=home(),
        run=settings.run_id,
        logs=None if settings.run_folder is None else settings.run_folder / LOGS,
        tell=lambda sentence: journal.write(Event(step=step.name, kind=Kind.TOLD, sentence=sentence)),
    )
    started = time.monotonic()
    with _logging_to(settings.run_folder, step.name):
        journal.write(Event(step=step.name, kind=Kind.STARTED))
        try:
            kind, figures = _done(step, {name: Path(path) for name, path in inputs.items()}, Path(output),
                                  context, settings, origin or {})  # fmt: skip
        except Exception as error:  # noqa: BLE001 - the outermost handler of this process
            traceback.print_exc()
            failure = failure_of(error, step.name)
            journal.write(
                Event(step=step.name, kind=Kind.FAILED, seconds=time.monotonic() - started, failure=failure)
            )
            if settings.run_folder is None:
                _note(step, settings.run_id, failure)
            sys.exit(failure.exit_code)
        journal.write(
            Event(
                step=step.name,
                kind=kind,
                seconds=round(time.monotonic() - started, 3),
                figures=figures,
                output=output,
            )
        )


def _note(step: Step, run: str, failure: Failure) -> None:
    """Leaves a failure for the task that closes a run on a cluster."""
    from pipelines.closing import note_failure

    try:
        note_failure(step.workload, run, failure)
    except Exception as error:  # noqa: BLE001 - what failed first is what matters; this is in the task's log
        say(f"The failure could not be noted: {failure_of(error, step.name).message}")


def failure_of(error: Exception, step: str) -> Failure:
    """Returns what a person is told of an error; the stack is in the log."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        error = DiskFull(
            f"There is no space left for what step {step} writes.",
            next_step=f"Free some space, then go on: sluice pipeline run --from-step {step}",
        )
    if isinstance(error, SluiceError):
        return Failure(
            code=error.code,
            title=error.title,
            message=error.message,
            reasons=tuple(getattr(error, "reasons", ())),
            next_step=error.next_step,
            exit_code=int(error.exit_code),
        )
    return Failure(
        code="step_crashed",
        title="A step crashed",
        message=f"{type(error).__name__}: {error}",
        next_step=f"Read the log of step {step}; this is an error of the program, or of a library.",
        exit_code=1,
    )


def _done(
    step: Step,
    inputs: Mapping[str, Path],
    output: Path,
    context: Context,
    settings: PipelinesSettings,
    origin: Mapping[str, str],
) -> tuple[Kind, Figures]:
    key = outputs.key_of(step, inputs)
    output.mkdir(parents=True, exist_ok=True)
    if settings.reuse_before and step.reusable and _is_before(step.name, settings.reuse_before):
        former = outputs.find(former_outputs(context.home, step.name), key)
        if former is None:
            raise NothingToReuse(
                f"No former run of step {step.name} was on this data with these parameters, or its files "
                "changed since.",
                next_step=f"Start earlier: sluice pipeline run --from-step {step.name}, or without it.",
            )
        return Kind.REUSED, outputs.take(former, output).figures
    started = time.monotonic()
    if settings.run_folder is None and settings.run_id and step.name == ORDER[0]:
        # Half of a task's start would go into this import, and a local run has no use for it.
        from pipelines.closing import open_run

        open_run(step.workload, settings.run_id, **origin)
    with borrowed(settings.run_folder) if step.on_ray else contextlib.nullcontext():
        figures = step.run(inputs, output, context)
    seconds = time.monotonic() - started
    outputs.seal(step, output, key=key, figures=figures, seconds=seconds, run=context.run)
    return Kind.DONE, figures


def former_outputs(home: Home, step: str) -> list[Path]:
    """Returns the folders in which local runs sealed an output of `step`, newest first."""
    found = (home.root / RUNS).glob(f"*/{STEPS}/*/{step}/*/{outputs.SEAL}")
    return [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def _is_before(step: str, other: str) -> bool:
    return ORDER.index(step) < ORDER.index(other)


@contextlib.contextmanager
def _logging_to(folder: Path | None, step: str) -> Iterator[None]:
    """Sends everything that this process and its children print to the step's log, for a local run."""
    if folder is None:
        yield
        return
    log = folder / LOGS / f"{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    # To the end of the process: what libraries print while it ends belongs to the step as well.
    yield
