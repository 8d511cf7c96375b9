"""Requests at once: bounded in all and for each key, first come first served, and nobody waits too long."""

import asyncio
from typing import Any

import pytest

from contracts.environments import Environment
from gateway.access.turns import Turns
from gateway.asked import Caller
from gateway.errors import Overloaded
from gateway.measures import Measures
from gateway.settings import GatewaySettings

FAR = 60.0


def caller(name: str) -> Caller:
    """Whoever has this name."""
    return Caller(key_id=name, name=name, environments=frozenset(Environment))


class Crowd:
    """Requests that hold their turn until they are told to go; `order` is that of their turns."""

    def __init__(self, **values: Any) -> None:
        self.measures = Measures()
        self.turns = Turns(GatewaySettings.load(**values), self.measures)
        self.order: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def enters(self, name: str, *, key: str = "shop", within: float = FAR) -> asyncio.Task[None]:
        """Begins a request and lets it come as far as it can."""
        deadline = asyncio.get_running_loop().time() + within
        self._doors[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._request(name, key, deadline))
        await settle()
        return self._tasks[name]

    async def goes(self, name: str) -> None:
        """Ends a request that has its turn."""
        self._doors[name].set()
        await self._tasks[name]
        await settle()

    def gauges(self) -> tuple[float | None, float | None]:
        """What /metrics tells: in flight, and waiting."""
        value = self.measures.registry.get_sample_value
        return value("sluice_gateway_in_flight"), value("sluice_gateway_waiting")

    async def _request(self, name: str, key: str, deadline: float) -> None:
        async with self.turns.turn(caller(key), deadline):
            self.order.append(name)
            await self._doors[name].wait()


async def settle() -> None:
    """Lets every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_so_many_at_once_and_the_rest_in_the_order_they_came() -> None:
    """The gauges say how many there are of each."""
    crowd = Crowd(requests_at_once=2, requests_waiting=3)
    for name in "abcde":
        await crowd.enters(name)
    assert crowd.order == ["a", "b"]
    assert crowd.gauges() == (2, 3)
    await crowd.goes("b")
    await crowd.goes("a")
    assert crowd.order == ["a", "b", "c", "d"]
    assert crowd.gauges() == (2, 1)
    for name in "cde":
        await crowd.goes(name)
    assert crowd.gauges() == (0, 0)
    assert crowd.turns._shares == {}


async def test_a_full_queue_is_told_at_once_when_to_come_back() -> None:
    """503, and nothing of it remains."""
    crowd = Crowd(requests_at_once=1, requests_waiting=1)
    await crowd.enters("a")
    await crowd.enters("b")
    refused = await crowd.enters("c")
    with pytest.raises(Overloaded, match="1 wait") as caught:
        await refused
    assert caught.value.status == 503
    assert caught.value.retry_after_seconds > 0
    assert crowd.gauges() == (1, 1)
    await crowd.goes("a")
    await crowd.goes("b")
    assert crowd.order == ["a", "b"]


async def test_without_a_queue_nobody_waits() -> None:
    """A setting of its own."""
    crowd = Crowd(requests_at_once=1, requests_waiting=0)
    await crowd.enters("a")
    with pytest.raises(Overloaded):
        await (await crowd.enters("b"))
    await crowd.goes("a")
    await crowd.enters("c")
    await crowd.goes("c")


async def test_a_key_has_so_many_at_once_and_others_pass_it() -> None:
    """However many of its own wait."""
    crowd = Crowd(requests_at_once=4, requests_at_once_per_key=2, requests_waiting=8)
    for name in ("a1", "a2", "a3", "a4"):
        await crowd.enters(name, key="a")
    for name in ("b1", "b2"):
        await crowd.enters(name, key="b")
    assert crowd.order == ["a1", "a2", "b1", "b2"]
    await crowd.goes("b1")
    assert crowd.order == ["a1", "a2", "b1", "b2"]
    await crowd.goes("a1")
    assert crowd.order[-1] == "a3"
    for name in ("a2", "a3", "a4", "b2"):
        await crowd.goes(name)
    assert crowd.gauges() == (0, 0)


async def test_a_key_with_a_crowd_does_not_stand_before_a_key_with_one() -> None:
    """Only as many of its requests as it has places come before the other's, though they came first."""
    crowd = Crowd(requests_at_once=2, requests_at_once_per_key=1, requests_waiting=16)
    await crowd.enters("b1", key="b")
    await crowd.enters("c1", key="c")
    for name in ("a1", "a2", "a3"):
        await crowd.enters(name, key="a")
    await crowd.enters("d1", key="d")
    for name in ("b1", "c1", "a1", "d1", "a2", "a3"):
        await crowd.goes(name)
    assert crowd.order.index("d1") < crowd.order.index("a2")


async def test_a_key_does_not_fill_the_queue_alone() -> None:
    """Its share of the queue is its share of the places."""
    crowd = Crowd(requests_at_once=2, requests_at_once_per_key=1, requests_waiting=4)
    for name in ("a1", "a2", "a3"):
        await crowd.enters(name, key="a")
    with pytest.raises(Overloaded, match="This key has 3 requests under way, of which 2 wait"):
        await (await crowd.enters("a4", key="a"))
    await crowd.enters("b1", key="b")
    await crowd.enters("b2", key="b")
    assert crowd.gauges() == (2, 3)
    for name in ("a1", "a2", "a3", "b1", "b2"):
        await crowd.goes(name)
    assert crowd.turns._shares == {}


async def test_nobody_waits_beyond_its_deadline() -> None:
    """It is told that its time passed, and its place in the queue is free again."""
    crowd = Crowd(requests_at_once=1, requests_waiting=1)
    await crowd.enters("a")
    for name in ("late", "later"):
        with pytest.raises(Overloaded, match="time of this request passed"):
            await (await crowd.enters(name, within=0.01))
    assert crowd.gauges() == (1, 0)
    await crowd.enters("b")
    await crowd.goes("a")
    await crowd.goes("b")
    assert crowd.order == ["a", "b"]


async def test_a_cancelled_request_leaves_no_trace() -> None:
    """Whether it waits for its key's place, for one of all, or has its turn."""
    crowd = Crowd(requests_at_once=2, requests_at_once_per_key=1, requests_waiting=8)
    await crowd.enters("a1", key="a")
    await crowd.enters("b1", key="b")
    for name, key in (("a2", "a"), ("c1", "c"), ("a1", "a")):
        task = crowd._tasks.get(name) or await crowd.enters(name, key=key)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert crowd.gauges() == (1, 0)
    await crowd.enters("a3", key="a")
    assert crowd.order[-1] == "a3"
    await crowd.goes("a3")
    await crowd.goes("b1")
    assert crowd.gauges() == (0, 0)
    assert crowd.turns._shares == {}


async def test_a_request_that_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    """Its place is not lost."""
    crowd = Crowd(requests_at_once=1, requests_waiting=4)
    await crowd.enters("a")
    waiting = await crowd.enters("b")
    await crowd.enters("c")
    crowd._doors["a"].set()
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settle()
    assert crowd.order[-1] == "c"
    await crowd.goes("c")
    assert crowd.gauges() == (0, 0)


async def test_an_error_gives_the_turn_back() -> None:
    """Whatever it is."""
    crowd = Crowd(requests_at_once=1, requests_waiting=0)
    deadline = asyncio.get_running_loop().time() + FAR
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with crowd.turns.turn(caller("shop"), deadline):
                _ = 1 / 0
    assert crowd.gauges() == (0, 0)


async def test_a_storm_of_requests_some_cancelled_ends_with_every_place_free() -> None:
    """At no moment are there more than there may be, of all or of one key."""
    crowd = Crowd(requests_at_once=5, requests_at_once_per_key=3, requests_waiting=1000)
    deadline = asyncio.get_running_loop().time() + FAR
    now: dict[str, int] = {}
    most: dict[str, int] = {}

    async def request(number: int) -> None:
        key = f"key {number % 4}"
        async with crowd.turns.turn(caller(key), deadline):
            for name in (key, "all"):
                now[name] = now.get(name, 0) + 1
                most[name] = max(most.get(name, 0), now[name])
            try:
                for _ in range(number % 5):
                    await asyncio.sleep(0)
            finally:
                for name in (key, "all"):
                    now[name] -= 1

    tasks = [asyncio.create_task(request(number)) for number in range(400)]
    for number, task in enumerate(tasks):
        if number % 7 == 0:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most.pop("all") == 5
    assert set(most.values()) == {3}
    assert crowd.gauges() == (0, 0)
    assert crowd.turns._shares == {}
    for _ in range(5):
        await crowd.turns.take(f"key {_}", deadline)
    assert crowd.turns._places.locked()
