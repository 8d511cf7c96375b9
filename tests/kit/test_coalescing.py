"""Callers that come at the same time share a call, and nothing else."""

import asyncio
from collections.abc import Sequence

import pytest

from kit.coalescing import Coalescer


class Asked:
    """Answers with the double of each number, when it is let to; it remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.deadlines: list[float] = []
        self.free = asyncio.Event()

    async def __call__(self, items: Sequence[int], deadline: float) -> list[int]:
        """Waits to be let go, then doubles; numbers below zero and zero itself are errors."""
        self.calls.append(list(items))
        self.deadlines.append(deadline)
        await self.free.wait()
        if any(item < 0 for item in items):
            raise ValueError(f"{len(items)} items")
        if 0 in items:
            raise OSError
        return [2 * item for item in items]


async def begun() -> None:
    """Lets tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_is_asked_alone_and_the_next_together() -> None:
    """Nobody waits for company, and everybody has his own results."""
    asked = Asked()
    coalescer = Coalescer(asked, most=4, calls=1)
    tasks = [asyncio.create_task(coalescer.results([at, at + 10], float(at))) for at in range(1, 5)]
    await begun()
    assert asked.calls == [[1, 11]]
    asked.free.set()
    assert await asyncio.gather(*tasks) == [[2 * at, 2 * at + 20] for at in range(1, 5)]
    assert asked.calls == [[1, 11], [2, 12, 3, 13], [4, 14]]
    assert asked.deadlines == [1, 3, 4]


async def test_more_than_one_call_holds_is_cut_into_several() -> None:
    """The results are in order."""
    asked = Asked()
    asked.free.set()
    coalescer = Coalescer(asked, most=4, calls=2)
    assert await coalescer.results(range(1, 12), 0) == [2 * item for item in range(1, 12)]
    assert [len(call) for call in asked.calls] == [4, 4, 3]


async def test_a_divisible_error_is_only_his_whose_items_caused_it() -> None:
    """The items of the others are asked again, alone."""
    asked = Asked()
    coalescer = Coalescer(asked, most=8, calls=1, divisible=ValueError)
    tasks = [asyncio.create_task(coalescer.results([item], 0)) for item in (1, 2, -3, 4)]
    await begun()
    asked.free.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[1], results[3]] == [[2], [4], [8]]
    assert isinstance(results[2], ValueError)
    assert asked.calls == [[1], [2, -3, 4], [2], [-3], [4]]


async def test_another_error_is_everybody_s() -> None:
    """It would come again; nobody is asked twice."""
    asked = Asked()
    coalescer = Coalescer(asked, most=8, calls=1, divisible=ValueError)
    tasks = [asyncio.create_task(coalescer.results([item], 0)) for item in (1, 2, 0)]
    await begun()
    asked.free.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == [2]
    assert all(isinstance(result, OSError) for result in results[1:])
    assert len(asked.calls) == 2


async def test_who_leaves_takes_along_what_was_not_sent() -> None:
    """And those who stay are answered."""
    asked = Asked()
    coalescer = Coalescer(asked, most=8, calls=1)
    tasks = [asyncio.create_task(coalescer.results([item], 0)) for item in (1, 2, 3)]
    await begun()
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    asked.free.set()
    assert await tasks[0] == [2]
    assert await tasks[2] == [6]
    assert asked.calls == [[1], [3]]
    await coalescer.close()
