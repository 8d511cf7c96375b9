"""The loop: an event is considered, a run is announced, its process is begun, its end is told.

`consider` writes the message, the decision and the announced run in one transaction, before anybody is
answered. `begin_announced` starts what is announced; `follow` does so too, by the clock, and after a restart.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from monitoring.alerts.event import AlertEvent
from monitoring.durations import duration
from monitoring.parts import Parts
from monitoring.retraining import process, slot, starts
from monitoring.retraining.decision import Decision, Outcome, concerns, decide, why
from monitoring.retraining.starts import START, Start
from records.repositories import alerts, locks, receipts, runs
from records.repositories.alerts import Note
from records.repositories.runs import NewRun
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger

ACTOR: Final = "the loop"
_DECISION: Final = "decision"
_REMEMBERED: Final = timedelta(days=30)
"""How far back runs are looked for whose end is to be told."""

log: Final = structlog.get_logger(__name__)


async def consider(
    parts: Parts, event: AlertEvent, *, message: str, now: datetime | None = None
) -> tuple[Decision, bool]:
    """Returns what is done about `event`, which came as `message`, and whether the message is new.

    Nothing is started yet: `begin_announced` does that, whether or not this process lives to do it. A message
    that was received before, by any process, is answered as it was then.

    Raises:
        RecordsUnavailable: the records do not answer; nothing was decided.
    """
    now = now or datetime.now(UTC)
    machine = slot.machine(parts.home)
    payload = event.model_dump(mode="json")
    async with parts.records.transaction() as session:
        if not await receipts.take(session, message, change=event.change, payload=payload, now=now):
            former = await receipts.answered(session, message) or {}
            return Decision.model_validate(former[_DECISION]), False
        decision, closed = await _decided(parts, session, event, message, machine, now)
        await receipts.answer(session, message, payload | {_DECISION: decision.model_dump(mode="json")})
        failed = [row for row in closed if await _tell_end(session, row, now)]
    _count(parts, event.model, decision, len(failed))
    return decision, True


async def begin_announced(parts: Parts, *, now: datetime | None = None) -> list[UUID]:
    """Begins the processes of the runs that were announced on this machine, and returns those runs."""
    now = now or datetime.now(UTC)
    machine = slot.machine(parts.home)
    async with parts.records.reading() as session:
        announced = [
            row
            for row in await runs.started_by(session, Trigger.DRIFT, since=now - _REMEMBERED)
            if starts.waits(row, parts.home, machine)
        ]
    return [row.id for row in announced if await _begin(parts, row.workload, row.id, machine)]


async def follow(parts: Parts, *, now: datetime | None = None) -> None:
    """Begins what is announced, closes what has died, and tells each end in the history of its alert.

    For the clock, and for the beginning of a process.
    """
    now = now or datetime.now(UTC)
    machine = slot.machine(parts.home)
    await begin_announced(parts, now=now)
    async with parts.records.reading() as session:
        started = await runs.started_by(session, Trigger.DRIFT, since=now - _REMEMBERED)
    untold = {row.workload for row in started if (start := starts.start_of(row)) and not start.told}
    for model in sorted(untold):
        async with parts.records.transaction() as session:
            await locks.hold(session, _lock(model))
            await starts.settled(session, parts.home, machine, model, now=now)
            recent = await runs.started_by(session, Trigger.DRIFT, since=now - _REMEMBERED, workload=model)
            failed = [row for row in recent if await _tell_end(session, row, now)]
        _count(parts, model, None, len(failed))


async def _decided(
    parts: Parts, session: AsyncSession, event: AlertEvent, message: str, machine: str, now: datetime
) -> tuple[Decision, list[ExperimentRun]]:
    ignored = concerns(event)
    if ignored is not None:
        return ignored, []
    await locks.hold(session, _lock(event.model))
    cooldown = duration(parts.settings.retraining_cooldown)
    brakes, closed = await starts.brakes(
        session, parts.home, machine, event.model, cooldown=cooldown, now=now
    )
    decision = decide(event, brakes, parts.settings, now)
    if decision.outcome is Outcome.STARTED:
        how = "kubeflow" if parts.settings.retraining == "kubeflow" else "local"
        start = Start(machine=machine, how=how, message=message, alert=event.alert_id)
        new = NewRun(
            workload=event.model,
            trigger=Trigger.DRIFT,
            trigger_reason=why(event),
            parameters=starts.parameters(start),
            started_at=now,
        )
        decision = decision.model_copy(update={"run": (await runs.begin(session, new)).id})
    if event.alert_id is not None:
        action = "retraining started" if decision.run else "retraining not started"
        note = Note(actor=ACTOR, reason=_said(decision), at=now)
        await alerts.remark(session, event.alert_id, action, note)
    return decision, closed


async def _begin(parts: Parts, model: str, run: UUID, machine: str) -> bool:
    """Begins the process of an announced run, unless another one is in the slot."""
    lock = None
    try:
        async with parts.records.transaction() as session:
            await locks.hold(session, _lock(model))
            row = await runs.by_id(session, run)
            if row is None or not starts.waits(row, parts.home, machine):
                return False
            lock = slot.take(parts.home, model)
            if lock is None:
                return False
            start = Start.model_validate(row.parameters[START])
            started = start.model_copy(update={"attempts": start.attempts + 1})
            await runs.note(session, run, START, started.model_dump(mode="json"))
            reason = row.trigger_reason or ""
        words = process.command(parts.settings, start.how, model, run, reason)
        number = process.start(parts.home, words, run, lock)
    finally:
        if lock is not None:
            slot.close(lock)  # the process has its own hold of it
    log.info("retraining_process_begun", model=model, run=str(run), process=number, how=start.how)
    return True


async def _tell_end(session: AsyncSession, row: ExperimentRun, now: datetime) -> bool:
    """Writes how a run ended into the history of the alert that it was started for, once.

    Returns True if that was written now, and the run had failed.
    """
    start = starts.start_of(row)
    if start is None or start.told or row.status == RunStatus.RUNNING:
        return False
    told = f"Run {row.parameters.get('run', row.id)} was {row.status}"
    told += f": version {row.model_version} is in staging." if row.status == RunStatus.ACCEPTED else "."
    reason = " ".join([told, *row.reasons])
    if start.alert is not None:
        note = Note(actor=ACTOR, reason=reason, at=row.finished_at or now)
        await alerts.remark(session, start.alert, "retraining ended", note)
    await runs.note(session, row.id, START, start.model_copy(update={"told": True}).model_dump(mode="json"))
    log.info("retraining_ended", model=row.workload, run=str(row.id), status=row.status, reasons=row.reasons)
    return row.status == RunStatus.FAILED


def _count(parts: Parts, model: str, decision: Decision | None, failed: int) -> None:
    if decision is not None:
        facts = {"model": model, "outcome": decision.outcome.value, "reason": decision.reason}
        log.info("retraining_decided", **facts, run=str(decision.run) if decision.run else None)
        if decision.outcome is not Outcome.IGNORED:
            parts.measures.retraining.labels(model, decision.outcome.value).inc()
    if failed:
        parts.measures.retraining.labels(model, Outcome.FAILED.value).inc(failed)


def _said(decision: Decision) -> str:
    return f"{decision.reason} Run {decision.run}." if decision.run else decision.reason


def _lock(model: str) -> str:
    return f"retraining/{model}"
