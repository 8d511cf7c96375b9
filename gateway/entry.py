"""Who may come in, where to, and until when: in one order for every route that needs a key.

The key first, then the environment, then whether the key reaches there, then its rate, then a turn. Only
what went through all of it has its body read.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from contracts import headers as names
from contracts.environments import HEADER as ENVIRONMENT_HEADER
from contracts.environments import Environment
from gateway.access.access import Access
from gateway.access.turns import Turns
from gateway.asked import Asked, Caller
from gateway.bodies import whole_number
from gateway.errors import EnvironmentUnknown, RequestInvalid
from gateway.passage import Passage
from gateway.settings import GatewaySettings

_ONCE: Final = frozenset({names.API_KEY.lower(), "authorization", "content-type", names.TIMEOUT_MS.lower()})
"""Headers that say one thing: given twice, nobody can tell which one is meant."""


class Entry:
    """Lets requests in, or tells why not."""

    def __init__(self, settings: GatewaySettings, access: Access, turns: Turns) -> None:
        self._settings = settings
        self._access = access
        self._turns = turns
        self._by_name = {environment.value: environment for environment in settings.environments}

    async def caller(self, passage: Passage) -> Caller:
        """Returns who asks.

        Raises:
            RequestInvalid: the key is given twice.
            KeyMissing: there is no valid key.
            AttemptsExceeded: too many wrong keys came from this address.
        """
        if passage.repeated and (twice := passage.repeated & _ONCE):
            raise RequestInvalid(f"Given more than once: {', '.join(sorted(twice))}.")
        passage.caller = await self._access.caller(passage.headers, passage.address)
        return passage.caller

    def environment(self, passage: Passage) -> Environment:
        """Returns where a request is to go.

        Raises:
            EnvironmentUnknown: the header names none that this gateway serves.
        """
        asked = passage.headers.get(ENVIRONMENT_HEADER.lower())
        if ENVIRONMENT_HEADER.lower() in passage.repeated:
            raise EnvironmentUnknown(
                f"{ENVIRONMENT_HEADER} is given more than once.", next_step="Send it once."
            )
        found = self._settings.default_environment if asked is None else self._by_name.get(asked)
        if found is None:
            raise EnvironmentUnknown(
                f"{ENVIRONMENT_HEADER} names no environment that is served here.",
                next_step=f"Send one of: {', '.join(self._by_name)}; "
                f"without the header it is {self._settings.default_environment}.",
            )
        passage.environment = found
        return found

    @asynccontextmanager
    async def asked(
        self, passage: Passage, model: str, *, seconds: float | None = None
    ) -> AsyncIterator[Asked]:
        """Yields what is asked of `model`, while it has its turn.

        `seconds` is how long it may take if the caller does not say; by default the setting.

        Raises:
            RequestInvalid: a header makes no sense.
            KeyMissing: there is no valid key.
            AttemptsExceeded: too many wrong keys came from this address.
            EnvironmentUnknown: the header names none.
            ScopeMissing: the key is not for this environment or model.
            RateExceeded: the key has sent all it may.
            Overloaded: too much is under way.
        """
        caller = await self.caller(passage)
        environment = self.environment(passage)
        self._access.permit(caller, environment=environment, model=model)
        await self.spend(passage, caller)
        deadline = self.deadline(passage, seconds)
        asked = Asked(passage.request_id, environment, model, caller, deadline, passage.traceparent)
        async with self._turns.turn(caller, deadline):
            yield asked

    @asynccontextmanager
    async def known(self, passage: Passage) -> AsyncIterator[tuple[Caller, float]]:
        """Yields who asks and until when, for what goes to no model, while it has its turn.

        Raises:
            RequestInvalid: a header makes no sense.
            KeyMissing: there is no valid key.
            AttemptsExceeded: too many wrong keys came from this address.
            RateExceeded: the key has sent all it may.
            Overloaded: too much is under way.
        """
        caller = await self.caller(passage)
        await self.spend(passage, caller)
        deadline = self.deadline(passage)
        async with self._turns.turn(caller, deadline):
            yield caller, deadline

    async def spend(self, passage: Passage, caller: Caller, count: int = 1, *, counted: int = 0) -> None:
        """Counts `count` requests of a key, beside those of this one that were `counted` before.

        Raises:
            RateExceeded: it has sent all it may.
            ValidationFailed: it may never send that much at once.
        """
        rate = await self._access.spend(caller, count, counted=counted)
        passage.answer_headers.update(rate.headers())

    def deadline(self, passage: Passage, seconds: float | None = None) -> float:
        """Returns until when there must be an answer, in the loop's time; `seconds` if the caller says none.

        Raises:
            RequestInvalid: the header holds no time.
        """
        told = whole_number(passage.headers, names.TIMEOUT_MS)
        if told == 0:
            raise RequestInvalid(f"{names.TIMEOUT_MS} leaves no time.", next_step="Send at least 1.")
        seconds = seconds or self._settings.timeout_seconds
        if told is not None:
            seconds = min(told / 1000, self._settings.max_timeout_seconds)
        return asyncio.get_running_loop().time() + seconds
