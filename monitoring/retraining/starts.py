"""Runs that the loop announced: from the row that says so to the row's end, whoever is killed in between.

A run stands in `experiment_runs` as running before its process begins, with this module's `Start` among its
parameters; the pipeline takes that row over and closes it. What the pipeline could not close, because its
process was killed or never came so far, is closed here, by the first look at the model once the slot is free.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from kit.files import Locked
from kit.home import Home
from monitoring.drift.result import Document
from monitoring.retraining import process, slot
from monitoring.retraining.decision import DAY, Brakes
from records.repositories import runs
from records.repositories.runs import RunEnd
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger

START: Final = "start"
"""Among the parameters of a run that the loop started."""
ATTEMPTS: Final = 3
"""How often a process is begun that is killed before it says a word."""
TURNS: Final = 1000
"""How often one is begun that finds another run under way in the same SLUICE_HOME, of whatever model."""
UNHEARD: Final = "Nothing was heard of it for a day."
_RUN: Final = "run"
"""Among the parameters of a run that has begun: the id under which the pipeline knows it."""
_LONGEST: Final = 1000
_REMEMBERED: Final = timedelta(days=3650)
"""A longer cooldown is none that ends."""

log: Final = structlog.get_logger(__name__)


class Start(Document):
    """How a run was started."""

    machine: str
    """Whose slot its process is in: see `slot.machine`."""
    how: Literal["local", "kubeflow"]
    message: str
    """The id of the message that asked for it."""
    alert: UUID | None
    attempts: int = 0
    told: bool = False
    """Whether its end stands in the alert's history."""


def start_of(row: ExperimentRun) -> Start | None:
    """Returns how the loop started a run, or None if it did not."""
    found = row.parameters.get(START)
    return None if found is None else Start.model_validate(found)


def waits(row: ExperimentRun, home: Home, machine: str) -> bool:
    """Tells whether the process of an announced run is still to be begun on this machine."""
    start = start_of(row)
    if start is None or start.machine != machine or row.status != RunStatus.RUNNING or _RUN in row.parameters:
        return False
    if start.attempts == 0:
        return True
    if start.how == "kubeflow":
        return False
    found = process.left(home, row.id)
    most = TURNS if found.document.get("code") == Locked.code else 0 if found.spoke else ATTEMPTS
    return start.attempts < most


async def brakes(
    session: AsyncSession, home: Home, machine: str, model: str, *, cooldown: timedelta, now: datetime
) -> tuple[Brakes, list[ExperimentRun]]:
    """Returns what was started before for `model`, and the runs that were closed because they had died.

    Call it in a transaction that holds the model's lock: to look at a slot is to be in it for a moment.
    """
    running, closed = await settled(session, home, machine, model, now=now)
    # A run that is under way is the reason that matters, however long it has been so.
    words = (
        f"A run for {model} has been under way since {running[0].started_at:%H:%M} UTC." if running else ""
    )
    since = now - min(max(DAY, cooldown), _REMEMBERED)
    started = [
        row.started_at for row in await runs.started_by(session, Trigger.DRIFT, since=since, workload=model)
    ]
    today = sum(at >= now - DAY for at in started)
    return Brakes(words, started[-1] if started else None, today), closed


async def settled(
    session: AsyncSession, home: Home, machine: str, model: str, *, now: datetime
) -> tuple[Sequence[ExperimentRun], list[ExperimentRun]]:
    """Returns the runs of `model` that are under way, and those that had died and were closed now."""
    running, closed = [], []
    for row in await runs.running(session, model):
        reason = _died(row, home, machine, now)
        if reason is None:
            running.append(row)
        elif reason:
            end = RunEnd(status=RunStatus.FAILED, finished_at=now, reasons=[reason[:_LONGEST]])
            closed.append(await runs.finish(session, row.id, end))
            log.warning("retraining_failed", model=model, run=str(row.id), reason=reason)
    return running, closed


def _died(row: ExperimentRun, home: Home, machine: str, now: datetime) -> str | None:
    """Returns why a run that is held for running is not; None if it is, and nothing if it is not ours."""
    start = start_of(row)
    old = row.started_at < now - DAY
    begun = _RUN in row.parameters
    elsewhere = start is not None and (start.machine != machine or (start.how == "kubeflow" and begun))
    if start is None or (elsewhere and begun):
        # Who began it closes it. After a day it holds nobody up.
        return "" if old else None
    if elsewhere:
        return UNHEARD if old else None
    if slot.is_taken(home, row.workload) or waits(row, home, machine):
        return None
    found = process.left(home, row.id)
    if start.how == "kubeflow" and "id" in found.document:  # handed over, and not begun yet
        return UNHEARD if old else None
    return _last_words(found)


def _last_words(found: process.Left) -> str:
    told = found.document.get("detail")
    if told:
        reasons = found.document.get("reasons") or ()
        return " ".join([str(told), *map(str, reasons)])
    return f"Its process ended without a word. What it logged is in {found.log}"


def parameters(start: Start) -> dict[str, Any]:
    """Returns the parameters of a run that is announced."""
    return {START: start.model_dump(mode="json")}
