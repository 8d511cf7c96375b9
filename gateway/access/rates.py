"""How many requests a key may send: counted by the library `limits`, in memory or in Redis.

The count is a sliding window of two counters: the requests of the present window, and those of the one before
weighed by how much of it still lies within a window from now. It takes two numbers for each key, and lets no
burst of twice the limit pass at the border of two windows.

If Redis does not answer in time, this process counts alone for a second, then asks again: callers are served
and still limited, each gateway by itself, until Redis is back.
"""

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.errors import ConfigurationError
from pydantic import SecretStr
from redis.exceptions import RedisError

from gateway.asked import Caller
from gateway.errors import RateExceeded, ValidationFailed
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.settings import SettingsError

log = structlog.get_logger(__name__)

REDIS_SECONDS: Final = 0.25
"""How long Redis may take; a request waits no longer for its count."""
PAUSE_SECONDS: Final = 1.0
"""How long Redis is not asked after it has not answered."""
SWEEP_SECONDS: Final = 1.0
"""How often counters in memory that count no longer are dropped."""
_PREFIX: Final = "sluice-rate"


@dataclass(frozen=True, slots=True)
class Rate:
    """What a key may still send."""

    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: float
    """Until the present window of counting ends, and its requests begin to be forgotten."""

    def headers(self) -> dict[str, str]:
        """Returns the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11)."""
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window_seconds}',
            "RateLimit": f'"default";r={self.remaining};t={math.ceil(self.reset_seconds)}',
        }


class _Counts(Protocol):
    """What is asked of a storage of `limits`."""

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool: ...

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]: ...


class Rates:
    """Counts what each key sends.

    Raises:
        SettingsError: GATEWAY_RATE_LIMIT_REDIS is no address of a Redis.
    """

    def __init__(
        self, settings: GatewaySettings, measures: Measures, *, redis_seconds: float = REDIS_SECONDS
    ) -> None:
        self._redis_seconds = redis_seconds
        self._item: RateLimitItem = parse(settings.rate_limit)
        self._window_seconds = self._item.get_expiry()
        self._memory = MemoryStorage()
        self._sweep_pause: asyncio.Task[None] | None = None
        self._redis = None if settings.rate_limit_redis is None else _redis(settings.rate_limit_redis)
        self._redis_down = False
        self._redis_at = float("-inf")
        """Down or not, it is not asked before (in monotonic time)."""
        self._limited = measures.rate_limited
        self._up = measures.rate_store_up
        self._up.set(1)

    async def close(self) -> None:
        """Closes the connections to Redis."""
        if self._memory.timer is not None:
            self._memory.timer.cancel()
        if self._redis is not None:
            bridge: Any = self._redis.bridge
            await bridge.get_connection().aclose()

    async def spend(self, caller: Caller, count: int = 1, *, counted: int = 0) -> Rate:
        """Counts `count` requests of the caller, all or none, and returns what is left.

        `counted` of the same request were counted before; they are again when it is sent again.

        Raises:
            RateExceeded: there is not that much left; it tells when there will be.
            ValidationFailed: a key may never send that much at once.
        """
        limit = self._item.amount
        whole = count + counted
        if whole > limit:
            raise ValidationFailed(
                f"{whole} e-mails in one request are more than a key may send at all ({self._item}): "
                f"send at most {limit} in one."
            )
        taken, window = await self._counted(self._item.key_for(caller.key_id), count)
        rate = self._rate(window)
        if taken:
            return rate
        self._limited.labels(caller.key_id).inc()
        wait = max(1, math.ceil(seconds_until(whole, limit, self._window_seconds, window)))
        raise RateExceeded(
            f"The key {caller.name} may send {self._item}, and has: send again in {wait} s.",
            retry_after_seconds=wait,
            headers=rate.headers(),
        )

    async def _counted(self, key: str, count: int) -> tuple[bool, tuple[int, float, int, float]]:
        if self._redis is None or time.monotonic() < self._redis_at:
            return await self._counted_here(key, count)
        if self._redis_down:
            # One request asks again; the others need not wait for its answer.
            self._redis_at = time.monotonic() + PAUSE_SECONDS
        try:
            async with asyncio.timeout(self._redis_seconds):
                counted = await self._counted_in(self._redis, key, count)
        except (RedisError, OSError, TimeoutError) as error:
            self._seen(down=True, error=type(error).__name__)
            return await self._counted_here(key, count)
        self._seen(down=False)
        return counted

    def _seen(self, *, down: bool, error: str | None = None) -> None:
        self._redis_at = time.monotonic() + PAUSE_SECONDS if down else float("-inf")
        if down == self._redis_down:
            return
        self._redis_down = down
        self._up.set(0 if down else 1)
        if down:
            log.warning(
                "rate_store_down", error=error, next_step="Rates are counted here, alone, until it is back."
            )
        else:
            log.info("rate_store_up")

    async def _counted_here(self, key: str, count: int) -> tuple[bool, tuple[int, float, int, float]]:
        # The storage walks through its counters after each request, unless its last walk is still under way:
        # 0.2 ms with a thousand keys. A pause in the place of a walk lets it do so once a second.
        walk = self._memory.timer
        if walk is None or (walk is not self._sweep_pause and walk.done()):
            self._sweep_pause = self._memory.timer = asyncio.create_task(asyncio.sleep(SWEEP_SECONDS))
        return await self._counted_in(self._memory, key, count)

    async def _counted_in(
        self, counts: _Counts, key: str, count: int
    ) -> tuple[bool, tuple[int, float, int, float]]:
        taken = await counts.acquire_sliding_window_entry(key, self._item.amount, self._window_seconds, count)
        return taken, await counts.get_sliding_window(key, self._window_seconds)

    def _rate(self, window: tuple[int, float, int, float]) -> Rate:
        former, former_seconds, present, present_seconds = window
        used = math.floor(former * former_seconds / self._window_seconds + present)
        # A counter of the present window is kept for a window longer than it counts.
        reset = present_seconds - self._window_seconds if present_seconds else self._window_seconds
        return Rate(
            self._item.amount, self._window_seconds, max(0, self._item.amount - used), max(0.0, reset)
        )


def seconds_until(
    count: int, limit: int, window_seconds: int, window: tuple[int, float, int, float]
) -> float:
    """Returns in how many seconds `count` more requests will fit, if no others come.

    `window` holds the requests of the window before and for how long they still weigh, those of the present
    one and how long they will be kept: a window longer than they count.
    """
    former, former_seconds, present, present_seconds = window
    rest = max(0.0, present_seconds - window_seconds)
    # It fits once floor(weighed) + count <= limit, that is once the weighed requests are fewer than `room`.
    room = limit - count + 1
    if present < room:
        if former == 0:
            return 0.0
        return max(0.0, former_seconds - (room - present) * window_seconds / former)
    return rest + max(0.0, window_seconds * (1 - room / present))


def _redis(setting: SecretStr) -> RedisStorage:
    address = setting.get_secret_value()
    wrong = SettingsError("GATEWAY_RATE_LIMIT_REDIS: it must be redis://HOST:PORT or rediss://HOST:PORT.")
    if not address.startswith(("redis://", "rediss://")):
        raise wrong
    try:
        return RedisStorage(f"async+{address}", implementation="redispy", key_prefix=_PREFIX)
    except (ConfigurationError, ValueError) as exc:
        raise wrong from exc
