"""The drift job by the clock, on one machine: one run at a time, a clean end at SIGTERM.

A run that takes longer than the interval is not joined by a second one, and runs that were missed while the
machine slept are made up for by one. In a cluster a CronJob runs the same job.
"""

import asyncio
import signal
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from kit.errors import SluiceError
from kit.home import Home
from monitoring.drift import job
from monitoring.durations import duration
from monitoring.settings import MonitoringSettings
from records.engine import opened

log: Final = structlog.get_logger(__name__)


def serve(home: Home, settings: MonitoringSettings) -> None:
    """Runs the job at once and every `drift_every`, until SIGTERM or SIGINT; a run under way ends first."""
    from apscheduler.schedulers.blocking import BlockingScheduler

    scheduler = BlockingScheduler(timezone=UTC)

    def stop(number: int, _frame: Any) -> None:
        log.info("drift_schedule_ends", signal=signal.Signals(number).name)
        scheduler.shutdown(wait=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    scheduler.add_job(
        run_once,
        "interval",
        args=(home, settings),
        seconds=duration(settings.drift_every).total_seconds(),
        next_run_time=datetime.now(UTC),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
    )
    log.info("drift_schedule_begins", every=settings.drift_every)
    scheduler.start()
    log.info("drift_schedule_ended")


def run_once(home: Home, settings: MonitoringSettings) -> None:
    """Runs the job; what it refuses, or a neighbour that is down, is logged, and the next run tries again."""
    try:
        outcome = asyncio.run(_run(home, settings))
    except SluiceError as error:
        log.warning("drift_run_failed", code=error.code, reason=error.message)
        return
    log.info("drift_run_done", measured=len(outcome.results), not_measured=len(outcome.unmeasured))


async def _run(home: Home, settings: MonitoringSettings) -> job.Outcome:
    async with opened() as records:
        return await job.run(records, home, settings)
