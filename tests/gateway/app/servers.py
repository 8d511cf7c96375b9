"""Servers that a gateway may meet upstream: real ones, which do one thing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_REASONS = {404: b"Not Found", 500: b"Internal Server Error"}


@asynccontextmanager
async def answering(status: int | None, body: bytes = b"{}") -> AsyncIterator[str]:
    """Yields the address of a server that answers every request with `status`; with None it never does."""
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if status is None:
                await done.wait()
                return
            head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nconnection: close\r\n" % (
                status, _REASONS.get(status, b"OK"),
            )  # fmt: skip
            writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        done.set()
        server.close()
        await server.wait_closed()
