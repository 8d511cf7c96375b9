"""What runs by the clock in the monitoring process: one run of each job at a time, and a clean end.

One process of a SLUICE_HOME keeps the clock, by a lock that the system frees when it dies; another one shows
pages, and takes over within seconds. A run that takes longer than its interval is not joined by a second one;
runs that were missed, while the machine slept or nothing ran, are made up for by one. In a cluster CronJobs
run the same commands (docs/monitoring-process.md).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from kit.errors import SluiceError
from kit.files import Locked, locked
from kit.home import Home

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

END_SECONDS: Final = 20.0
"""Longest that the end waits for runs under way; then they are broken off, which loses nothing."""
TAKE_OVER_SECONDS: Final = 2.0
"""How often a process that does not keep the clock tries to."""
_BREAK_SECONDS: Final = 8.0

log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timed:
    """A job, and how often it runs."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[None]]
    last: Callable[[], Awaitable[datetime | None]] | None = None
    """Tells when it last came to its end, in whichever process; None if that is not kept, and then it runs at
    once."""


class Schedule:
    """Runs `jobs` while this process keeps the clock of `home`."""

    def __init__(self, home: Home, jobs: Sequence[Timed]) -> None:
        self._lock = home.root / "monitoring" / "schedule.lock"
        self._jobs = jobs
        self._held = ExitStack()
        self._scheduler: AsyncIOScheduler | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._failing: dict[str, str] = {}
        """Jobs whose last run failed, and with which code."""

    @property
    def keeps(self) -> bool:
        """Whether this process keeps the clock."""
        return self._scheduler is not None

    async def start(self) -> None:
        """Begins to keep the clock, or to wait for it."""
        self._keeping = asyncio.create_task(self._keep())

    def hurry(self) -> None:
        """Has `close` wait no longer for runs under way; called by a signal, so by no task."""
        asyncio.get_running_loop().call_soon_threadsafe(self._hurry.set)

    async def close(self, seconds: float = END_SECONDS) -> None:
        """Starts nothing more, and returns when runs under way have ended, by themselves or broken off."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if self._scheduler is not None:
            self._scheduler.pause()
            await self._ended(seconds)
            for task in tuple(self._under_way):
                log.warning("job_broken_off", job=task.get_name())
                task.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=_BREAK_SECONDS)
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
            log.info("schedule_ended")
        self._held.close()

    async def _ended(self, seconds: float) -> None:
        """Returns when no run is under way, the time is over, or there is a hurry."""
        hurried = asyncio.create_task(self._hurry.wait())
        until = asyncio.get_running_loop().time() + seconds
        while self._under_way and not hurried.done():
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await asyncio.wait({hurried, *self._under_way}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()

    async def _keep(self) -> None:
        told = False
        while True:
            try:
                self._held.enter_context(locked(self._lock, what="The schedule"))
            except Locked:
                if not told:
                    log.info("schedule_kept_elsewhere")
                    told = True
                await asyncio.sleep(TAKE_OVER_SECONDS)
            else:
                break
        await self._begin()

    async def _begin(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        # It warns each time that a run is still under way, which is what we want.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(timezone=UTC)
        for job in self._jobs:
            scheduler.add_job(
                partial(self._run, job),
                "interval",
                name=job.name,
                seconds=job.every.total_seconds(),
                next_run_time=await _first(job),
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )
        scheduler.start()
        self._scheduler = scheduler
        log.info("schedule_begun", jobs=[job.name for job in self._jobs])

    async def _run(self, job: Timed) -> None:
        task = asyncio.create_task(self._guarded(job), name=job.name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait({task})

    async def _guarded(self, job: Timed) -> None:
        """Runs a job; a refusal, or a neighbour that is down, is told once, and the next run tries again."""
        before = self._failing.get(job.name)
        try:
            await job.run()
        except SluiceError as error:
            self._failing[job.name] = error.code
            if before != error.code:
                log.warning("job_failed", job=job.name, code=error.code, reason=error.message)
        except Exception:  # the outermost handler of a job: no bug of one ends the others
            self._failing[job.name] = "internal_error"
            log.exception("job_failed", job=job.name, code="internal_error")
        else:
            if self._failing.pop(job.name, None) is not None:
                log.info("job_runs_again", job=job.name)


async def _first(job: Timed) -> datetime:
    """Returns when a job is due first: at once if a run was missed, or nobody knows of one."""
    now = datetime.now(UTC)
    try:
        last = await job.last() if job.last is not None else None
    except SluiceError:
        return now
    return now if last is None else min(max(now, last + job.every), now + job.every)
