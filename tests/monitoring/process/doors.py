"""A real gateway behind a real port, in the process of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from contracts import gateway as paths
from gateway.assembly import assembled
from gateway.settings import GatewaySettings
from kit.home import Home

LIMIT_SECONDS = 60
MAIL = "From: ann@example.org\nSubject: agenda {}\n\nplease review the attached report"


class Door:
    """A gateway that is asked."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def ask(self, count: int, name: str, environment: str = "production") -> list[int]:
        """Returns the statuses of `count` requests with ids of their own."""
        answers = []
        for at in range(count):
            headers = {"X-Environment": environment, "X-Request-Id": f"{name}-{at}"}
            answers.append(
                await self._client.post(paths.PREDICT, json={"raw": MAIL.format(at)}, headers=headers)
            )
        return [answer.status_code for answer in answers]

    async def metric(self, name: str) -> float:
        """Returns the sum of a metric as its page tells it."""
        text = (await self._client.get("/metrics")).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    async def until(self, name: str, least: float) -> None:
        """Returns once a metric is as large."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while await self.metric(name) < least:  # noqa: ASYNC110 - only its page tells
                await asyncio.sleep(0.02)

    async def ready(self) -> None:
        """Returns once it answers for an environment."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await self._client.get(paths.READY)).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def gateway(root: Path, **values: Any) -> AsyncIterator[Door]:
    """Yields a gateway with its state below `root`, which lets everybody in."""
    settings = GatewaySettings.load(authentication=False, development=True, **values)
    config = uvicorn.Config(
        assembled(settings, Home(root)), host="127.0.0.1", port=0, lifespan="on", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    # The signals of this process belong to the test.
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done(), task.result()
        await asyncio.sleep(0.01)
    url = "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
    try:
        async with httpx.AsyncClient(base_url=url, timeout=LIMIT_SECONDS) as client:
            yield Door(url, client)
    finally:
        server.should_exit = True
        await task
