"""The end of a run on this machine, however it ended: in the records, in MLflow and beside its logs.

What cannot be written is told with the error of the run, and written by the next run of the same home.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kit.errors import Refused, SluiceError
from kit.files import write_text
from kit.home import Home
from pipelines.journal import Failure, Kind
from pipelines.request import Request
from pipelines.run import REQUEST, SUMMARY, Run, StepFailed, StepRefused
from pipelines.task import LOGS, RUNS
from records.model_versions import RunState
from records.tables.experiment_runs import RunStatus
from training import run_records, workloads
from training.registry import Registry

UNWRITTEN: Final = "unwritten"
"""In a summary: why the records or MLflow do not know how the run ended."""
_LONGEST_REASON: Final = 2000


class Closing:
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
                f"The runner left with exit code {code} after step {self._run.last_step()}, without a word."
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
        return self._noted(RunStatus.FAILED, RunState.KILLED, [f"Stopped in step {self._run.last_step()}."])

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


def close_abandoned(home: Home, tracking: Registry) -> None:
    """Writes how the runs of this home ended that are still held for open; call it under the lock.

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
        run_id = tracking.find_run(request["workload"], folder.name)
        if run_id is not None:
            tracking.log(run_id, tags={"outcome": outcome.status.value})
            failed = outcome.status is RunStatus.FAILED
            tracking.end_run(run_id, RunState.FAILED if failed else RunState.FINISHED)
        write_text(folder / SUMMARY, json.dumps(told, ensure_ascii=False, indent=1) + "\n")


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
