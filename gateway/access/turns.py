"""Requests at once: so many in all, so many of one key, and a bounded queue for the rest.

Who comes first is served first. A request waits for a place of its key, then for one of all: a key with many
requests therefore has at most its places in the common queue, and others pass its crowd. A key's share of the
queue is its share of the places, so that no key fills the queue alone.
"""

import asyncio
from types import TracebackType

from gateway.asked import Caller
from gateway.errors import Overloaded
from gateway.measures import Measures
from gateway.settings import GatewaySettings


class _Share:
    """What one key uses; it is forgotten when that is nothing."""

    __slots__ = ("places", "used", "waiting")

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.used = 0
        """Requests with a turn, or waiting for one."""
        self.waiting = 0


class Turns:
    """Gives each request its turn."""

    def __init__(self, settings: GatewaySettings, measures: Measures) -> None:
        self._places = asyncio.Semaphore(settings.requests_at_once)
        self._places_per_key = settings.requests_at_once_per_key
        self._waiting_places = settings.requests_waiting
        share = min(1.0, settings.requests_at_once_per_key / settings.requests_at_once)
        self._waiting_places_per_key = min(
            settings.requests_waiting, max(1, round(self._waiting_places * share))
        )
        self._shares: dict[str, _Share] = {}
        self.in_flight = 0
        self.waiting = 0
        measures.in_flight.set_function(lambda: self.in_flight)
        measures.waiting.set_function(lambda: self.waiting)

    def turn(self, caller: Caller, deadline: float) -> "_Turn":
        """Returns a context that is entered when the request's turn has come, and gives it back at its end.

        Entering raises `Overloaded` at once if the queue is full, and at the deadline (in the loop's time) if
        the turn has not come by then.
        """
        return _Turn(self, caller.key_id, deadline)

    async def take(self, key_id: str, deadline: float) -> _Share:
        """Waits for a turn.

        Raises:
            Overloaded: there is no place in the queue, or none became free by the deadline.
        """
        share = self._shares.get(key_id)
        if share is None:
            share = self._shares[key_id] = _Share(self._places_per_key)
        share.used += 1
        try:
            if share.places.locked() or self._places.locked():
                await self._wait(share, deadline)
            else:
                # Neither waits: both have a place.
                await share.places.acquire()
                await self._places.acquire()
        except BaseException:
            self._leave(key_id, share)
            raise
        self.in_flight += 1
        return share

    def give_back(self, key_id: str, share: _Share) -> None:
        """Lets the next one in."""
        self.in_flight -= 1
        self._places.release()
        share.places.release()
        self._leave(key_id, share)

    async def _wait(self, share: _Share, deadline: float) -> None:
        if self.waiting >= self._waiting_places:
            raise Overloaded(
                f"{self.in_flight} requests are worked on, and {self.waiting} wait.",
                next_step="Send it again, later each time.",
            )
        if share.waiting >= self._waiting_places_per_key:
            raise Overloaded(
                f"This key has {share.used - 1} requests under way, of which {share.waiting} wait.",
                next_step="Send fewer at once, or again, later each time.",
            )
        self.waiting += 1
        share.waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await share.places.acquire()
                try:
                    await self._places.acquire()
                except BaseException:
                    share.places.release()
                    raise
        except TimeoutError as exc:
            raise Overloaded(
                f"The time of this request passed while {self.in_flight} others were worked on.",
                next_step="Send it again, later each time.",
            ) from exc
        finally:
            self.waiting -= 1
            share.waiting -= 1

    def _leave(self, key_id: str, share: _Share) -> None:
        share.used -= 1
        if share.used == 0:
            del self._shares[key_id]


class _Turn:
    __slots__ = ("_deadline", "_key_id", "_share", "_turns")

    def __init__(self, turns: Turns, key_id: str, deadline: float) -> None:
        self._turns = turns
        self._key_id = key_id
        self._deadline = deadline
        self._share: _Share | None = None

    async def __aenter__(self) -> None:
        self._share = await self._turns.take(self._key_id, self._deadline)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._share is not None:
            self._turns.give_back(self._key_id, self._share)
            self._share = None
