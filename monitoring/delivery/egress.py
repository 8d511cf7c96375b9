"""Where messages may go: to public addresses, and to those that the settings allow.

A name is resolved once, each of its addresses is judged, and the connection goes to an address that was
judged: a name that answers differently a moment later (DNS rebinding) changes nothing. TLS still asks for,
and checks, the name.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]

_REFUSED: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        # What is not global by the registries of IANA is refused besides; these count as global, or change
        # sides between versions of Python.
        "100.64.0.0/10",  # shared address space; Alibaba's metadata lie in it
        "168.63.129.16/32",  # Azure's host: DHCP, DNS, the agent's metadata
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata lie in it
        "192.88.99.0/24",  # relays of 6to4
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "100::/64",  # thrown away
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local, of old
    )
)


class EgressRefused(Exception):
    """A message may not go where its channel points."""


def may_go(address: Address, allowed: Iterable[Network]) -> bool:
    """Tells whether messages may go to `address`: it is public, or in one of the networks `allowed`."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return False
    if any(address in network for network in allowed):
        return True
    public = address.is_global and not (address.is_multicast or address.is_reserved)
    return public and not any(address in network for network in _REFUSED)


async def resolved(host: str, port: int) -> Sequence[Address]:
    """Returns the addresses of `host` as the system knows them, in its order.

    Raises:
        OSError: it knows none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(answer[4][0]) for answer in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections for HTTP, only to where messages may go."""

    def __init__(self, allowed: Iterable[str], resolve: Resolve = resolved) -> None:
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed)
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Returns a connection to the first address of `host` that is permitted and answers.

        Raises:
            EgressRefused: none of its addresses is permitted.
            OSError: its name is not known.
            ConnectError, ConnectTimeout: no permitted address answers.
        """
        addresses = [each for each in await self._resolve(host, port) if may_go(each, self._allowed)]
        if not addresses:
            raise EgressRefused(host)
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._network.connect_tcp(
                    str(address), port, share, local_address, socket_options
                )
        return await self._network.connect_tcp(str(addresses[-1]), port, share, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuses: no channel is a file.

        Raises:
            EgressRefused: always.
        """
        del timeout, socket_options
        raise EgressRefused(path)

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)
