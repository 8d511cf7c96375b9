"""Sender history within a budget: what a store that hangs, fails and comes back costs those who ask."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from contracts.metrics import TRANSFORMER_DEFAULTED_SENDERS
from feature_repo.sender_numbers import SenderHistory, unknown_senders
from feature_repo.senders import SenderBudget, Senders
from kit import metrics
from kit.errors import OperationalError

_PATIENT = SenderBudget(seconds=5, pause_seconds=0.05)
KNOWN = np.arange(8, dtype=np.float32)


class Store:
    """Knows everybody; it can be made to hang and to fail."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.goes.set()
        self.fails = False
        self.asked: list[list[str]] = []

    def lookup(self, senders: Sequence[str], _at: datetime) -> SenderHistory:
        """Returns the same numbers for everybody, three of them defaults."""
        self.asked.append(list(senders))
        assert self.goes.wait(60)
        if self.fails:
            raise OperationalError("gone")
        return SenderHistory(
            np.tile(KNOWN, (len(senders), 1)), np.full(len(senders), 3), np.ones(len(senders), bool)
        )


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(store: Store, budget: SenderBudget = _PATIENT) -> AsyncIterator[tuple[Senders, Counter]]:
    """Yields senders whose store was opened."""
    counter = metrics.counter(TRANSFORMER_DEFAULTED_SENDERS, CollectorRegistry())
    senders = Senders(lambda: store.lookup, budget, counter)
    senders.begin()
    await until(lambda: not senders.opening and senders.degraded is None)
    try:
        yield senders, counter
    finally:
        store.goes.set()
        await senders.close()


def count(counter: Counter, reason: str) -> float:
    """Returns how many were answered with defaults for a reason."""
    return float(counter.labels(reason)._value.get())


async def test_callers_at_the_same_time_share_a_lookup() -> None:
    """And each has his own rows."""
    store = Store()
    async with opened(store) as (senders, _):
        store.asked.clear()
        store.goes.clear()
        tasks = [asyncio.create_task(senders.history([f"{name}@a", f"{name}@b"])) for name in "xyz"]
        await until(lambda: len(store.asked) == 1)
        await asyncio.sleep(0)
        store.goes.set()
        for found in await asyncio.gather(*tasks):
            assert np.array_equal(found.numbers, [KNOWN, KNOWN])
            assert (found.defaulted.tolist(), found.known.tolist()) == ([3, 3], [True, True])
    assert store.asked == [["x@a", "x@b"], ["y@a", "y@b", "z@a", "z@b"]]


async def test_a_store_that_hangs_is_waited_for_no_longer_than_the_budget() -> None:
    """Defaults, counted as slow; once late lookups are paused nobody waits, and its return is noticed."""
    store = Store()
    async with opened(store, SenderBudget(0.2, 1, 0.05)) as (senders, counter):
        store.goes.clear()
        late = await senders.history(["a@b"])
        assert np.array_equal(late.numbers, unknown_senders(1))
        assert (late.defaulted.tolist(), late.known.tolist()) == ([8], [False])
        assert count(counter, "slow") == 1
        await asyncio.sleep(0.05)
        store.goes.set()  # the lookup ends, late: that is known only now
        await until(lambda: senders.degraded is not None or len(store.asked) > 3)
        await until(lambda: senders.degraded is None)
        assert np.array_equal((await senders.history(["a@b"])).numbers, [KNOWN])


async def test_a_store_that_fails_is_paused_after_some_failures_in_a_row() -> None:
    """A success in between begins the count anew; while paused, only trials ask the store."""
    store = Store()
    async with opened(store, SenderBudget(5, 2, 0.05)) as (senders, counter):
        for fails in (True, False, True, True):
            assert senders.degraded is None
            store.fails = fails
            await senders.history(["a@b", "c@d"])
        assert senders.degraded is not None
        assert count(counter, "failed") == 6
        store.asked.clear()
        assert np.array_equal((await senders.history(["e@f"])).numbers, unknown_senders(1))
        assert count(counter, "paused") == 1
        await until(lambda: len(store.asked) > 1)
        assert ["e@f"] not in store.asked
        store.fails = False
        await until(lambda: senders.degraded is None)
        assert np.array_equal((await senders.history(["e@f"])).numbers, [KNOWN])


async def test_a_store_that_is_down_at_the_start_is_no_error() -> None:
    """It is tried until it answers; meanwhile there are defaults."""
    store = Store()
    store.fails = True
    counter = metrics.counter(TRANSFORMER_DEFAULTED_SENDERS, CollectorRegistry())
    senders = Senders(lambda: store.lookup, _PATIENT, counter)
    senders.begin()
    await until(lambda: not senders.opening and len(store.asked) > 2)
    assert np.array_equal((await senders.history(["a@b"])).numbers, unknown_senders(1))
    store.fails = False
    await until(lambda: senders.degraded is None)
    await senders.close()
