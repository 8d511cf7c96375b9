"""How many requests failed, as the gateway itself counts them: what failed is in no record of predictions."""

import asyncio
from datetime import datetime
from typing import Final, NamedTuple

from contracts import metrics as contract
from contracts.environments import Environment
from kit.errors import OperationalError
from monitoring.checks import gateway
from monitoring.parts import Parts

_PATIENCE_SECONDS: Final = 2


class Counted(NamedTuple):
    """The requests of an environment since the gateway began."""

    environment: str
    well: int
    failed: int
    """On our side: answers of 5xx."""


class Failures(NamedTuple):
    """What the gateway says; `trouble` if it says nothing, and both empty if none is known."""

    since: datetime | None = None
    counted: tuple[Counted, ...] = ()
    trouble: str = ""


async def read(parts: Parts, now: datetime) -> Failures:
    """Returns what the gateway has counted since it began; never waits long."""
    address = gateway.address(parts)
    if address is None:
        return Failures()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            found = await gateway.snapshot(address, now=now)
    except TimeoutError:
        return Failures(trouble=f"The gateway at {address} did not answer within {_PATIENCE_SECONDS} s.")
    except OperationalError as error:
        return Failures(trouble=error.message)
    counted = []
    for environment in Environment:
        samples = found.of(contract.GATEWAY_REQUESTS, environment=environment.value)
        well, failed = (
            round(sum(each.value for each in samples if each.labels["status"].startswith(first)))
            for first in ("2", "5")
        )
        counted.append(Counted(environment.value, well, failed))
    return Failures(found.since, tuple(counted))
