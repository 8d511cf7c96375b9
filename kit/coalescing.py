"""Questions that come at the same time are asked together: one call for the items of several callers.

Nobody waits for company. While calls are under way, what comes in meanwhile goes with the next one; so at low
load every caller has a call of his own, and at high load a call is shared by as many as came during the last.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Share(Generic[Item, Result]):
    """The items of one caller, or a part of them, and where their results go."""

    items: Sequence[Item]
    deadline: float
    results: "asyncio.Future[Sequence[Result]]"


class Coalescer(Generic[Item, Result]):
    """Asks `ask` for at most `most` items at once, in at most `calls` calls at a time.

    `ask` is given items and the latest deadline of those who sent them, in the loop's time, and returns one
    result for each item, in order. An error of the type `divisible` may be the fault of one caller's items,
    so those of a shared call are then asked each alone; any other error is everybody's.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Item], float], Awaitable[Sequence[Result]]],
        *,
        most: int,
        calls: int,
        divisible: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        self._ask = ask
        self._most = most
        self._calls = calls
        self._divisible = divisible
        self._waiting: deque[_Share[Item, Result]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def results(self, items: Sequence[Item], deadline: float) -> list[Result]:
        """Returns one result for each of `items`, in order; more than `most` are asked in several calls.

        A caller who is cancelled takes along what was not sent yet. The caller keeps the deadline himself.
        """
        loop = asyncio.get_running_loop()
        shares: list[_Share[Item, Result]] = [
            _Share(items[at : at + self._most], deadline, loop.create_future())
            for at in range(0, len(items), self._most)
        ]
        self._waiting.extend(shares)
        self._start()
        try:
            if len(shares) == 1:
                return list(await shares[0].results)
            parts = await asyncio.gather(*(share.results for share in shares))
        except BaseException:
            for share in shares:
                share.results.cancel()
            raise
        return [result for part in parts for result in part]

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._calls:
            shares = self._next()
            if not shares:
                return
            task = asyncio.get_running_loop().create_task(self._asked(shares))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()

    def _next(self) -> list[_Share[Item, Result]]:
        """Takes the shares of the next call, in order, without those of callers who left."""
        shares: list[_Share[Item, Result]] = []
        count = 0
        while self._waiting:
            share = self._waiting[0]
            if not share.results.done():
                count += len(share.items)
                if count > self._most:
                    break
                shares.append(share)
            self._waiting.popleft()
        return shares

    async def _asked(self, shares: Sequence[_Share[Item, Result]]) -> None:
        try:
            results = await self._ask(
                [item for share in shares for item in share.items], max(share.deadline for share in shares)
            )
        except self._divisible as exc:
            if len(shares) == 1:
                _fail(shares, exc)
            else:
                for share in shares:
                    await self._asked([share])
        except Exception as exc:  # noqa: BLE001 - whatever it is belongs to those who wait for it
            _fail(shares, exc)
        else:
            at = 0
            for share in shares:
                if not share.results.done():
                    share.results.set_result(results[at : at + len(share.items)])
                at += len(share.items)

    async def close(self) -> None:
        """Waits for the calls under way."""
        while self._running:
            await asyncio.wait(self._running)


def _fail(shares: Sequence[_Share[Item, Result]], error: Exception) -> None:
    for share in shares:
        if not share.results.done():
            share.results.set_exception(error)
