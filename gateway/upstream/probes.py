"""Whether the servers of each environment answer, asked in the background and never in a request's path."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog

from contracts.environments import Environment
from gateway.backends.backend import Readiness
from gateway.errors import UpstreamError
from gateway.upstream.addresses import Address
from gateway.upstream.client import Client
from gateway.upstream.table import RoutingTable

log = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 1.0
"""Between two probes, and how long each one waits for an answer."""


class Probes:
    """Asks each server whether it is ready, again and again."""

    def __init__(self, table: RoutingTable, clients: Mapping[Environment, Client]) -> None:
        self._table = table
        self._clients = clients
        self._readiness = {
            environment: Readiness(ready=False, reason=f"{environment} was not asked yet.")
            for environment in clients
        }
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Asks once, and goes on in the background."""
        await self._round()
        self._task = asyncio.create_task(self._forever())

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def readiness(self, environment: Environment) -> Readiness:
        """Returns what was last seen of an environment."""
        found = self._readiness.get(environment)
        return found or Readiness(ready=False, reason=f"{environment} is not served by this gateway.")

    async def version(self, address: Address, deadline: float) -> str | None:
        """Returns the version that a transformer says to answer by now; None if it does not say in time."""
        told = await self._asked(address, deadline)
        version = told.get("version") if told is not None else None
        return version if isinstance(version, str) and version.isdecimal() else None

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                await self._round()
            except Exception:
                log.exception("probe_failed")

    async def _round(self) -> None:
        seen = await asyncio.gather(*[self._seen(environment) for environment in self._clients])
        for environment, readiness in zip(self._clients, seen, strict=True):
            if readiness != self._readiness[environment]:
                log.info("environment_seen", environment=environment, **readiness._asdict())
            self._readiness[environment] = readiness

    async def _seen(self, environment: Environment) -> Readiness:
        addresses = self._table.served(environment)
        if not addresses:
            return Readiness(ready=False, reason=f"Nothing is served in {environment} yet.")
        deadline = asyncio.get_running_loop().time() + PROBE_SECONDS
        told = await asyncio.gather(*[self._asked(address, deadline) for address in addresses])
        silent = [address.model for address, one in zip(addresses, told, strict=True) if one is None]
        if silent:
            return Readiness(ready=False, reason=f"Not ready in {environment}: {', '.join(silent)}.")
        return Readiness(ready=True)

    async def _asked(self, address: Address, deadline: float) -> dict[str, Any] | None:
        """Returns what a server tells that is ready; None if it is not, or does not answer."""
        try:
            reply = await self._clients[address.environment].probe(address.health, deadline)
        except UpstreamError:
            return None
        if reply.status != HTTPStatus.OK:
            return None
        try:
            told = orjson.loads(reply.body or b"{}")
        except orjson.JSONDecodeError:
            return None
        if not isinstance(told, dict):
            return None
        version = told.get("version")
        if address.transformer and isinstance(version, str) and version.isdecimal():
            self._table.heard(address, version)
        return told
