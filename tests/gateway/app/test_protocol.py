"""Connections that would be kept for nothing are ended; others are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.http import document
from gateway.protocol import BoundedProtocol
from tests.gateway.app.stand import LIMIT_SECONDS

HEAD = b"POST / HTTP/1.1\r\nHost: g\r\n"


class Impatient(BoundedProtocol):
    """The same with smaller numbers."""

    max_unread_bytes = 1 << 20
    head_seconds = 0.05


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once, and reads no body."""
    await document({"read": 0})(scope, receive, send)


@asynccontextmanager
async def connected(
    protocol: type[BoundedProtocol],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yields a connection to a server that speaks by `protocol`."""
    config, state = uvicorn.Config(answering, ws="none", log_config=None), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            yield reader, writer
    finally:
        writer.transport.abort()
        server.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Reads until the end of a connection, whichever way it comes."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        return True
    return True


async def test_a_head_that_takes_too_long_ends_its_connection() -> None:
    """One byte, and then nothing."""
    async with connected(Impatient) as (reader, writer):
        writer.write(HEAD[:1])
        assert await ended(reader)


async def test_a_body_that_goes_on_after_its_answer_ends_its_connection() -> None:
    """The answer comes, then what follows is thrown away, and not for ever."""
    async with connected(Impatient) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 999999999\r\n\r\n")
        assert await reader.readuntil(b'{"read":0}')
        with pytest.raises(ConnectionError):  # noqa: PT012 - which write sees it is the system's choice
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0)


async def test_a_large_body_in_one_piece_ends_nothing() -> None:
    """It is longer than a head may be, and the connection serves on."""
    async with connected(BoundedProtocol) as (reader, writer):
        for _ in range(3):
            writer.write(HEAD + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000)
            assert await reader.readuntil(b'{"read":0}')
