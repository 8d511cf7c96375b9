"""Sender history within a budget: numbers from the online store, or defaults when it is slow or down.

Lookups run in one thread of their own, those of several requests together. Failures and late answers in a row
pause them, so that a dead store costs a request nothing; a lookup apart from any request is then tried every
so often, and its success ends the pause. Whoever is answered with defaults is counted, with the reason.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter

from feature_repo.sender_numbers import SenderHistories, SenderHistory, unknown_history
from kit.coalescing import Coalescer
from kit.errors import Bug, OperationalError

log = structlog.get_logger(__name__)

_MOST = 256

_One = tuple[NDArray[np.float32], np.int64, np.bool_]
"""Of one sender, as in `SenderHistory`: his 8 numbers, how many of them are defaults, whether he is known."""


class SenderBudget(NamedTuple):
    """How long a request waits for history, and what happens to a store that keeps it waiting."""

    seconds: float = 0.1
    """Then the request goes on with defaults."""
    failures: int = 3
    """Lookups in a row that fail or are late, until they are paused."""
    pause_seconds: float = 1
    """How often a paused store is tried."""


class Senders:
    """The history of each sender, whatever the store does.

    `opened` returns the lookup; it runs in the lookups' own thread, because it takes seconds.
    """

    def __init__(
        self, opened: Callable[[], SenderHistories], budget: SenderBudget, defaulted: Counter
    ) -> None:
        self._opened = opened
        self._budget = budget
        self._defaulted = {reason: defaulted.labels(reason) for reason in ("slow", "failed", "paused")}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="senders")
        self._lookup: SenderHistories | None = None
        self._coalescer = Coalescer[str, _One](self._found, most=_MOST, calls=1)
        self._failures = 0
        self._trial: asyncio.Task[None] | None = None

    @property
    def opening(self) -> bool:
        """The store was not tried yet."""
        return self._lookup is None

    @property
    def degraded(self) -> str | None:
        """Why requests are answered with defaults now, for people; None while history is looked up."""
        if self._trial is None:
            return None
        return "The store of sender history does not answer in time: senders count as unknown."

    def begin(self) -> None:
        """Begins to open the store; until it answers, requests go on with defaults."""
        self._trial = asyncio.get_running_loop().create_task(self._open())

    async def history(self, senders: Sequence[str]) -> SenderHistory:
        """Returns what is known of each, within the budget; a store that is slow or down gives defaults."""
        if self._trial is not None:
            return self._defaults("paused", len(senders))
        loop = asyncio.get_running_loop()
        budget = self._budget.seconds
        try:
            async with asyncio.timeout(budget):
                found = await self._coalescer.results(senders, loop.time() + budget)
        except TimeoutError:
            return self._defaults("slow", len(senders))
        except OperationalError:
            return self._defaults("failed", len(senders))
        numbers, defaulted, known = zip(*found, strict=True)
        return SenderHistory(
            np.stack(numbers), np.array(defaulted, dtype=np.int64), np.array(known, dtype=np.bool_)
        )

    async def close(self) -> None:
        """Ends lookups and trials."""
        if self._trial is not None:
            self._trial.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trial
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _found(self, senders: Sequence[str], _deadline: float) -> list[_One]:
        """Returns what is known of each sender; a lookup that fails or is late is counted, whoever waits."""
        loop = asyncio.get_running_loop()
        begun, failed = loop.time(), True
        try:
            found = await self._looked_up(senders)
            failed = loop.time() - begun > self._budget.seconds
        finally:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= self._budget.failures and self._trial is None:
                self._pause()
        return found

    async def _looked_up(self, senders: Sequence[str]) -> list[_One]:
        if self._lookup is None:
            raise Bug("Senders are looked up before their store is opened.")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, self._lookup, senders, datetime.now(UTC))
        return list(zip(*found, strict=True))

    def _defaults(self, reason: str, count: int) -> SenderHistory:
        self._defaulted[reason].inc(count)
        return unknown_history(count)

    def _pause(self) -> None:
        log.warning("sender_history_paused", retry_seconds=self._budget.pause_seconds)
        self._trial = asyncio.get_running_loop().create_task(self._until_back())

    async def _open(self) -> None:
        lookup = await asyncio.get_running_loop().run_in_executor(self._thread, self._opened)
        self._lookup = lookup
        await self._answers()  # the first one opens connections and compiles statements
        if await self._answers():
            self._trial = None
        else:
            self._pause()

    async def _until_back(self) -> None:
        while True:
            await asyncio.sleep(self._budget.pause_seconds)
            if await self._answers():
                break
        self._failures, self._trial = 0, None
        log.info("sender_history_resumed")

    async def _answers(self) -> bool:
        """Tells whether the store answers, and in time; the address asked for belongs to nobody."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            await self._looked_up(["nobody@sluice.invalid"])
        except OperationalError:
            return False
        return loop.time() - begun <= self._budget.seconds
