"""What the gateway says of failures stands on the overview; that it says nothing too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from starlette.applications import Starlette

from contracts import gateway as paths
from contracts import metrics as contract
from contracts.monitoring import CONSOLE
from kit import metrics
from kit.files import write_text
from monitoring.console import failures
from monitoring.console.failures import Counted, Failures
from monitoring.parts import Parts


@asynccontextmanager
async def answering(body: bytes, *, slow: bool = False) -> AsyncIterator[str]:
    """A server that gives one answer, or none in time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if slow:
            await reader.read()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def page() -> bytes:
    """Metrics as a gateway tells them: of 1,000 requests to production five failed on our side."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    counted = metrics.counter(contract.GATEWAY_REQUESTS, registry)
    for status, count in (("200", 995), ("503", 3), ("500", 2), ("422", 40)):
        counted.labels("/v1/predict", "production", "1", status).inc(count)
    return generate_latest(registry)


async def test_failures_are_counted_by_environment(parts: Parts) -> None:
    """What the caller got wrong is no failure of ours."""
    async with answering(page()) as url:
        write_text(paths.address_file(parts.home.root), url)
        found = await failures.read(parts, datetime.now(UTC))
    assert found.counted == (Counted("staging", 0, 0), Counted("production", 995, 5))
    assert found.since is not None
    assert found.since < datetime.now(UTC)


async def test_the_overview_tells_them(ann: httpx.AsyncClient, parts: Parts) -> None:
    """As a share."""
    async with answering(page()) as url:
        write_text(paths.address_file(parts.home.root), url)
        told = " ".join((await ann.get(f"{CONSOLE}/")).text.split())
    assert "of 1,000 requests to production <strong>0.5 % failed</strong>" in told


@pytest.mark.parametrize(("body", "slow"), [(b"<html>", False), (b"", True)], ids=["other", "slow"])
async def test_a_gateway_that_says_nothing_is_told(parts: Parts, body: bytes, *, slow: bool) -> None:
    """It is something else, silent, or gone: the page comes all the same, and soon."""
    async with answering(body, slow=slow) as url:
        write_text(paths.address_file(parts.home.root), url)
        found = await failures.read(parts, datetime.now(UTC))
        assert found.trouble
        assert not found.counted
    assert (await failures.read(parts, datetime.now(UTC))).trouble


async def test_without_a_gateway_nothing_is_said(app: Starlette, parts: Parts) -> None:
    """Nobody is asked."""
    del app
    assert await failures.read(parts, datetime.now(UTC)) == Failures()
