"""Which jobs the monitoring process runs, how often, and what each does when its time has come."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from kit.errors import ExitCode
from monitoring.checks.run import run as checked
from monitoring.durations import duration
from monitoring.parts import Parts
from monitoring.retraining.loop import follow
from monitoring.schedule import Timed
from monitoring.subcommands import Ended, sluice
from records.repositories import jobs, predictions
from records.repositories.jobs import Job

log: Final = structlog.get_logger(__name__)


def timed(parts: Parts) -> list[Timed]:
    """Returns the jobs of this process, by its settings."""
    settings = parts.settings
    found = [
        Timed("deliver", duration(settings.delivery_every), partial(_deliver, parts)),
        Timed("check", duration(settings.check_every), partial(_check, parts)),
        Timed("drift", duration(settings.drift_every), partial(_drift, parts), _last(parts, Job.DRIFT)),
        Timed("ingest", duration(settings.ingest_every), partial(_ingest, parts), _last(parts, Job.INGEST)),
    ]
    if settings.retraining != "off":
        found.append(Timed("retraining", duration(settings.check_every), partial(follow, parts)))
    if settings.auto_promote:
        found.append(Timed("promote", duration(settings.check_every), partial(_promote, parts)))
    return found


def _last(parts: Parts, job: Job) -> Callable[[], Awaitable[datetime | None]]:
    async def last() -> datetime | None:
        async with parts.records.reading() as session:
            return (await jobs.completions(session)).get(job)

    return last


async def _deliver(parts: Parts) -> None:
    from monitoring.delivery.sender import send_due

    await send_due(parts.records, parts.settings, now=datetime.now(UTC))


async def _check(parts: Parts) -> None:
    await checked(parts, now=datetime.now(UTC))


async def _drift(parts: Parts) -> None:
    """Has drift measured in a process of its own, unless nothing was ever predicted."""
    async with parts.records.reading() as session:
        anything = await predictions.any_recorded(session)
    if not anything:
        async with parts.records.transaction() as session:
            await jobs.completed(session, Job.DRIFT, now=datetime.now(UTC))
        log.info("drift_run_done", measured=0, not_measured=0)
        return
    log.info("drift_run_begun")
    ended = await sluice(parts.home, "drift", "run")
    results = ended.document.get("results")
    if isinstance(results, list):
        refused = ended.document.get("not_measured", [])
        log.info("drift_run_done", measured=len(results), not_measured=len(refused))
    else:
        _failed("drift", ended)


async def _ingest(parts: Parts) -> None:
    """Has predictions and feedback made sender history, where there is any: elsewhere nobody asked for it."""
    if not parts.home.features.is_dir():
        log.debug("ingest_skipped", reason="no sender features on this machine")
        return
    log.info("ingest_begun")
    ended = await sluice(parts.home, "features", "ingest")
    if ended.code != ExitCode.DONE:
        _failed("ingest", ended)
        return
    counts = {name: ended.document.get(name) for name in ("predictions", "feedback", "new_messages")}
    log.info("ingest_done", **counts)


async def _promote(parts: Parts) -> None:
    from monitoring.retraining.promotion import promote_ready

    await promote_ready(parts)


def _failed(job: str, ended: Ended) -> None:
    """Tells how a command failed; what it logged itself stands before."""
    log.warning(
        "job_failed",
        job=job,
        exit_code=ended.code,
        code=ended.document.get("code"),
        reason=ended.document.get("detail"),
    )
