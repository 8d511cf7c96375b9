"""One request to a model's server: where it goes, how often it is tried, and what its failures lead to.

An inference may be tried again, as it changes nothing: when the connection was refused or broke, and when a
version is gone because its route has just moved. Nothing is tried again after a timeout, nor beyond the
deadline.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from yarl import URL

from contracts.environments import Environment
from gateway.errors import UpstreamError
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from gateway.upstream.addresses import Address
from gateway.upstream.breaker import Breaker
from gateway.upstream.client import Client, Reply, Unreached
from gateway.upstream.probes import Probes
from gateway.upstream.table import RoutingTable
from kit.home import Home

_PAUSE_SECONDS: Final = 0.02
"""Between two tries: a restarted server, or another one behind the same name, is there at once."""
_MOVES: Final = 5
"""How often a request follows a route that moves under it."""
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE})
"""What Triton answers for a version that was unloaded, or is being so."""


class Upstreams:
    """The servers of all environments."""

    def __init__(self, settings: GatewaySettings, home: Home, measures: Measures) -> None:
        self.table = RoutingTable(settings, home, measures)
        self._settings = settings
        self._measures = measures
        self._clients: dict[Environment, Client] = {}
        self._breakers: dict[tuple[Environment, str], Breaker] = {}
        self.probes = Probes(self.table, self._clients)

    async def start(self) -> None:
        """Opens the pools, and sees once who is ready."""
        for environment in self._settings.environments:
            self._clients[environment] = Client(environment, self._settings, self._measures)
        self.table.read()
        self.probes = Probes(self.table, self._clients)
        await self.probes.start()

    async def close(self) -> None:
        """Closes all connections."""
        await self.probes.close()
        for client in self._clients.values():
            await client.close()

    @contextmanager
    def guarded(self, address: Address) -> Iterator[None]:
        """Lets a request through to a server that is not left alone, and counts how it fails.

        Raises:
            UpstreamDown: the server has failed too often; in a moment it is tried again.
        """
        key = (address.environment, address.model)
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker(address, self._settings)
            self._measures.breaker_open.labels(*key).set_function(breaker.state)
        with breaker.admitted():
            try:
                yield
            except UpstreamError as exc:
                self._measures.upstream_errors.labels(address.environment, exc.code).inc()
                raise

    async def exchange(
        self,
        address: Address,
        url: Callable[[Address], URL],
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> tuple[Address, Reply]:
        """Returns who answered, and what; a page where there is no body.

        `url` is asked again after a route has moved.

        Raises:
            Unreached: as often as was tried, the connection was refused or broke.
            UpstreamFailed: what came is no answer of HTTP.
            UpstreamLate: nothing came in time.
            ModelUnknown: the model was taken away meanwhile.
            UpstreamNotReady: so was the last one.
        """
        loop = asyncio.get_running_loop()
        method = "GET" if body is None else "POST"
        client = self._clients[address.environment]
        tries = moves = 0
        while True:
            tries += 1
            try:
                reply = await client.ask(method, url(address), headers, body, deadline, fresh=tries > 1)
            except Unreached as exc:
                if tries >= self._settings.upstream_tries or loop.time() + _PAUSE_SECONDS >= deadline:
                    raise
                self._measures.upstream_errors.labels(address.environment, exc.code).inc()
                await asyncio.sleep(_PAUSE_SECONDS)
                address = self.table.again(address)
                continue
            if reply.status in _GONE and not address.transformer and moves < _MOVES:
                now = self.table.again(address)
                if now != address:
                    address, moves, tries = now, moves + 1, 0
                    continue
            return address, reply

    async def recognises(self, address: Address, version: str, deadline: float) -> bool:
        """Tells whether `version` is one that the server of `address` may answer by.

        A transformer is a moment behind its route, and ahead of what is known of it here.
        """
        if self.table.knows(address, version):
            return True
        address = self.table.again(address)
        return self.table.knows(address, version) or version == await self.probes.version(address, deadline)
