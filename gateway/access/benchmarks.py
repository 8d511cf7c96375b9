"""Figures of access: what the gate costs a request, in CPU time, which a busy machine does not stretch."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from contracts import gateway as paths
from contracts.environments import Environment
from feature_repo.redis_server import RedisMissing, redis_server
from gateway.access.access import Access
from gateway.access.rates import Rates
from gateway.access.turns import Turns
from gateway.asked import Caller
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.api_keys import keys_file
from kit.api_keys.keys import Keys, with_created
from kit.benchmark import Figure, Report
from kit.errors import SluiceError
from kit.home import Home

REQUESTS: Final = 5000
KEYS: Final = 1000
_RATE: Final = "600000/minute"
_ENVIRONMENTS: Final = tuple(Environment)


def admission(home: Home, *, requests: int = REQUESTS, keys: int = KEYS) -> Report:
    """Returns the CPU time of each step before a request is worked on, for a file of `keys` keys.

    The peer of the rate is the same strategy of `limits` in memory, called as its documentation does. The
    scratch folder is below `home`, and removed.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    missing: dict[str, SluiceError] = {}
    with TemporaryDirectory(prefix="access-bench-", dir=home.root) as name:
        folder = Path(name)
        figures = asyncio.run(_in_memory(Home(folder), requests, keys))
        try:
            with redis_server(folder) as address:
                figures.append(asyncio.run(_in_redis(f"redis://{address}", requests // 10)))
        except RedisMissing as error:
            missing["rate in Redis"] = error
    return Report(figures, missing=missing)


async def _in_memory(home: Home, requests: int, keys: int) -> list[Figure]:
    text = _filled(paths.keys_file(home.root), keys)
    settings, measures = GatewaySettings.load(rate_limit=_RATE), Measures()
    access, turns = Access(settings, measures, home), Turns(settings, measures)
    await access.start()
    headers = {"authorization": f"Bearer {text}"}
    caller = await access.caller(headers, "")
    callers = [Caller(f"key-{number}", "", frozenset(_ENVIRONMENTS)) for number in range(keys)]
    deadline = asyncio.get_running_loop().time() + 3600
    peer, item = SlidingWindowCounterRateLimiter(MemoryStorage()), parse(_RATE)

    async def permitted(_number: int) -> None:
        found = await access.caller(headers, "")
        access.permit(found, environment=Environment.STAGING, model="any")

    async def spent(number: int) -> None:
        (await access.spend(callers[number % keys])).headers()

    async def peers(number: int) -> None:
        name = callers[number % keys].key_id
        await peer.hit(item, name)
        await peer.get_window_stats(item, name)

    async def turned(_number: int) -> None:
        async with turns.turn(caller, deadline):
            pass

    rate = await _cost(spent, requests)
    theirs = await _cost(peers, requests // 10)
    figures = [
        Figure("gateway: key and scopes", await _cost(permitted, requests), "us", note=f"{keys:,} keys"),
        Figure(
            "gateway: rate in memory", rate, "us", aim="< 30", note=f"{keys:,} keys",
            peer="limits as it is", ratio=rate / theirs,
        ),
        Figure("gateway: turn", await _cost(turned, requests), "us"),
    ]  # fmt: skip
    await access.close()
    return figures


async def _in_redis(url: str, requests: int) -> Figure:
    rates = Rates(GatewaySettings.load(rate_limit=_RATE, rate_limit_redis=url), Measures(), redis_seconds=60)
    caller = Caller("key", "", frozenset(_ENVIRONMENTS))

    async def spent(_number: int) -> None:
        await rates.spend(caller)

    cost = await _cost(spent, requests)
    await rates.close()
    return Figure("gateway: rate in Redis", cost, "us", note="two round trips besides")


def _filled(path: Path, count: int) -> str:
    keys, text = Keys(), ""
    for number in range(count):
        keys, (_, text) = with_created(
            keys, name=f"key-{number}", now=datetime.now(UTC), environments=_ENVIRONMENTS
        )
    keys_file.write(path, keys)
    return text


async def _cost(act: Callable[[int], Awaitable[Any]], count: int) -> float:
    """Returns the CPU time of one `act` in microseconds, with what it leaves to the event loop."""
    await act(0)
    start = time.process_time()
    for number in range(count):
        await act(number)
        await asyncio.sleep(0)
    return (time.process_time() - start) / count * 1e6
