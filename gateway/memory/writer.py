"""From the queue in memory to the database, by way of the spool where that is needed.

Two tasks: one empties the queue, into the database or into the spool; the other empties the spool into the
database. Rows go to the spool when the database failed or is slow, when the queue is half full, while older
rows wait there, and always if every write is to be synced.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from gateway.measures import Measures
from gateway.memory import rows
from gateway.memory.answered import Answered
from gateway.memory.database import Database
from gateway.memory.disk import Disk
from gateway.settings import GatewaySettings
from records.errors import RecordRejected
from records.repositories.predictions import NewPrediction

FLUSH_SECONDS: Final = 0.1
"""Longest a row waits for others to be written with it."""
GROUP_SECONDS: Final = 0.005
"""The same where every write is synced: what comes while one is synced is the next group anyway."""
PATIENCE_SECONDS: Final = 0.25
"""A write that takes longer goes on, and its rows go to the spool as well."""
TAKE_OVER_SECONDS: Final = 30
"""How often folders of dead processes are looked for."""
_RETRY_SECONDS: Final = 0.1
_RETRY_SECONDS_MAX: Final = 2.0
_ROWS_PER_STEP: Final = 50
_END_SECONDS: Final = 2
"""For a statement that is broken off to let go."""


class Writer:
    """Takes answers, and keeps them."""

    def __init__(self, settings: GatewaySettings, database: Database, disk: Disk, measures: Measures) -> None:
        self._bound = settings.records_queue
        self._batch = settings.records_batch
        self._always = settings.spool_fsync == "always"
        self._fsync_seconds = settings.spool_fsync_seconds
        self._database = database
        self._disk = disk
        self._dropped = measures.records_dropped
        self._log = structlog.get_logger(__name__)
        self._queue: deque[Answered] = deque()
        self._held: list[NewPrediction] = []
        self._wake, self._spooled, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._hurry = False
        self._direct: asyncio.Task[bool] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._reason = "full"
        self._invalid = 0
        self.taken = 0
        self.kept = 0
        """How many of those taken are in the database or in the spool, or are dropped; in the order taken."""

    @property
    def queued(self) -> int:
        """How many rows are in memory only."""
        return len(self._queue) + len(self._held)

    def record(self, answered: Answered) -> None:
        """Takes an answer; on the event loop only. Never waits; beyond the bound the answer is dropped."""
        waiting = len(self._queue)
        if waiting + len(self._held) >= self._bound or self._closing.is_set():
            self._dropped.labels(self._reason).inc()
            return
        self._queue.append(answered)
        self.taken += 1
        if waiting == 0 or waiting + 1 == self._batch:
            self._wake.set()

    async def start(self) -> None:
        """Opens the spool, takes over what dead processes left, and begins."""
        await self._disk.open()
        self._tasks = [asyncio.create_task(self._lasting(self._empty_queue))]
        self._tasks.append(asyncio.create_task(self._lasting(self._empty_spool)))

    async def caught_up(self) -> None:
        """Returns when everything taken so far is in the database or in the spool."""
        if self.kept >= self.taken:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self.taken, done))
        self._hurry = True
        self._wake.set()
        await done

    async def close(self, seconds: float) -> None:
        """Keeps everything: in the database if that goes within `seconds`, else on the disk, synced."""
        self._closing.set()
        self._wake.set()
        self._spooled.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        running = [task for task in (*self._tasks, self._direct) if task is not None and not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_END_SECONDS)
        while self._queue:
            self._convert(_ROWS_PER_STEP)
        if self._held and not await self._spool_held(sync=True):
            self._dropped.labels(self._reason).inc(len(self._held))
            self._log.error("predictions_dropped", count=len(self._held), reason=self._reason)
            self._let_go(len(self._held))
        await self._disk.close()

    async def _empty_queue(self) -> None:
        retry = _RETRY_SECONDS
        while await self._due():
            while self._queue and len(self._held) < self._batch:
                self._convert(min(_ROWS_PER_STEP, self._batch - len(self._held)))
                await asyncio.sleep(0)
            await self._disk.sync_if_due()
            if await self._keep_held():
                retry = _RETRY_SECONDS
            else:
                await asyncio.sleep(retry)
                retry = min(2 * retry, _RETRY_SECONDS_MAX)
        self._spooled.set()

    async def _due(self) -> bool:
        """Returns True when rows are to be written, False when there will be none any more."""
        while not self._queue and not self._held:
            if self._closing.is_set():
                return False
            self._wake.clear()
            await _waited(self._wake, self._fsync_seconds if self._disk.unsynced else None)
            await self._disk.sync_if_due()
        if not (self._closing.is_set() or self._hurry or len(self._queue) >= self._batch or self._held):
            self._wake.clear()
            await _waited(self._wake, GROUP_SECONDS if self._always else FLUSH_SECONDS)
        self._hurry = False
        return True

    async def _keep_held(self) -> bool:
        """Writes what is held, or spools it; returns False if neither can be done now."""
        held = tuple(self._held)
        if not held:
            self._let_go(0)
            return True
        writing: asyncio.Task[bool] | None = None
        relaxed = len(self._queue) <= self._bound // 2
        if not self._always and relaxed and self._disk.bytes == 0 and self._direct is None:
            writing = self._begun(held)
            await asyncio.wait({writing}, timeout=PATIENCE_SECONDS)
            if writing.done() and await self._ended(writing):
                self._let_go(len(held))
                return True
        if await self._spool_held():
            return True
        # The spool takes no more, or there is none: the database is all that is left.
        if writing is None and self._disk.bytes == 0 and self._direct is None:
            writing = self._begun(held)
        if writing is not None and await self._ended(writing):
            self._let_go(len(self._held))
            return True
        return False

    def _begun(self, held: tuple[NewPrediction, ...]) -> asyncio.Task[bool]:
        self._direct = asyncio.create_task(self._database.write(held))
        return self._direct

    async def _ended(self, writing: asyncio.Task[bool]) -> bool:
        """Waits for a write past the spool, and returns whether it succeeded."""
        await asyncio.wait({writing})
        if self._direct is writing:
            self._direct = None
        return not writing.cancelled() and writing.result()

    async def _spool_held(self, *, sync: bool = False) -> bool:
        """Moves what is held to the spool; returns whether all of it is there."""
        spooled = await self._disk.append(tuple(self._held), sync=sync)
        self._reason = "disk" if spooled is None else "full"
        if spooled:
            self._let_go(spooled)
            self._spooled.set()
        return not self._held

    async def _empty_spool(self) -> None:
        retry = _RETRY_SECONDS
        while True:
            if self._disk.bytes and self._direct is not None:
                await self._ended(self._direct)
            elif self._disk.bytes == 0:
                if self._closing.is_set() and self._tasks[0].done():
                    return
                self._spooled.clear()
                closing = self._closing.is_set()
                if not await _waited(self._spooled, _RETRY_SECONDS if closing else TAKE_OVER_SECONDS):
                    await self._disk.take_over()
            elif await self._oldest_written():
                retry = _RETRY_SECONDS
            elif self._closing.is_set():
                return
            else:
                await _waited(self._closing, retry)
                retry = min(2 * retry, _RETRY_SECONDS_MAX)

    async def _oldest_written(self) -> bool:
        """Moves the oldest rows from the spool to the database; returns False if that does not take them."""
        waiting = await self._disk.read(self._batch)
        if waiting is None:
            return True
        if waiting.rows and not await self._database.write(waiting.rows):
            return False
        if waiting.unreadable:
            self._dropped.labels("disk").inc(waiting.unreadable)
            self._log.warning("spool_rows_unreadable", count=waiting.unreadable)
        await self._disk.forget(waiting)
        return True

    def _convert(self, count: int) -> None:
        for _ in range(min(count, len(self._queue))):
            try:
                self._held.append(rows.row(self._queue.popleft()))
            except RecordRejected as error:
                self._invalid += 1
                self._dropped.labels("invalid").inc()
                self._log.warning("prediction_invalid", reason=error.message)

    def _let_go(self, count: int) -> None:
        del self._held[:count]
        self.kept += count
        if not self._held:
            self.kept += self._invalid
            self._invalid = 0
        still = []
        for taken, done in self._waiters:
            if taken > self.kept:
                still.append((taken, done))
            elif not done.done():
                done.set_result(None)
        self._waiters = still

    async def _lasting(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                return await loop()
            except Exception:  # noqa: BLE001 - the outermost handler of a task: no bug may end the recording
                self._log.exception("recording_failed")
                await asyncio.sleep(1)


async def _waited(event: asyncio.Event, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
