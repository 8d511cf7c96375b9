"""The spool as the event loop sees it: each step in one thread, and trouble told once instead of raised."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from gateway.memory.spool import Spool, Waiting
from records.repositories.predictions import NewPrediction

T = TypeVar("T")


class Disk:
    """A spool, asked without holding up the event loop."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._thread = ThreadPoolExecutor(1, "spool")
        self._log = structlog.get_logger(__name__)
        self.trouble: str | None = None
        """Why the disk takes nothing; None if it does, as far as is known."""

    @property
    def bytes(self) -> int:
        """Bytes of rows that wait."""
        return self._spool.bytes

    @property
    def unsynced(self) -> bool:
        """Whether rows should be on the disk soon, and are not."""
        return self._spool.unsynced

    async def open(self) -> None:
        """Takes over what dead processes left, and makes a folder for this one."""
        await self._tried(self._spool.open)

    async def take_over(self) -> None:
        """Takes over what dead processes left."""
        await self._tried(self._spool.take_over)

    async def append(self, rows: Sequence[NewPrediction], *, sync: bool = False) -> int | None:
        """Adds as many rows as there is room for; returns how many, None if the disk takes none."""
        return await self._tried(lambda: self._spool.append(rows, sync=sync))

    async def sync_if_due(self) -> None:
        """Forces rows to the disk, if the setting says that it is time."""
        if self._spool.unsynced:
            await self._tried(lambda: self._spool.sync(due_only=True))

    async def read(self, limit: int) -> Waiting | None:
        """Returns the oldest rows."""
        return await self._done(lambda: self._spool.read(limit))

    async def forget(self, waiting: Waiting) -> None:
        """Removes rows that were read."""
        await self._done(lambda: self._spool.forget(waiting))

    async def close(self) -> None:
        """Syncs and closes it; what waits stays."""
        await self._tried(self._spool.close)
        self._thread.shutdown(wait=False)

    async def _tried(self, step: Callable[[], T]) -> T | None:
        try:
            done = await self._done(step)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self.trouble:
                self.trouble = reason
                self._log.error("spool_unusable", reason=reason)
            return None
        if self.trouble is not None:
            self.trouble = None
            self._log.info("spool_usable_again")
        return done

    async def _done(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)
