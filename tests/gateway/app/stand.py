"""A whole gateway in this process: real keys, limits, records in SQLite, and two small real models."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson

from contracts import gateway as paths
from contracts.environments import Environment
from gateway.app import Gateway
from gateway.assembly import assembled
from gateway.settings import GatewaySettings
from kit.api_keys import keys_file
from kit.api_keys.keys import with_created
from kit.home import Home

LIMIT_SECONDS = 60
SPAM = "Subject: winner\n\nclaim your free prize casino pills urgent offer click winner"
HAM = "Subject: agenda\n\nmeeting agenda report draft patch review thanks attached minutes"
THRESHOLD = 0.05
"""Between what both small models say of these two: they were made in a second, and are never sure."""


def made_key(root: Path, name: str, **scopes: Any) -> str:
    """Returns a new key, as `sluice keys` makes it; for both environments unless `scopes` say otherwise."""
    wanted = {"environments": tuple(Environment)} | scopes
    _, text = keys_file.change(
        paths.keys_file(root),
        lambda former: with_created(former, name=name, now=datetime.now(UTC), **wanted),
    )
    return text


@dataclass(frozen=True)
class Stand:
    """A gateway, and a client with a key for everything but admin pages."""

    gateway: Gateway
    client: httpx.AsyncClient
    root: Path

    async def key(self, name: str, **scopes: Any) -> dict[str, str]:
        """Returns the headers of a new key, once the gateway knows it: it looks twice a second."""
        headers = {"X-API-Key": made_key(self.root, name, **scopes)}
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await self.client.get(paths.MODELS, headers=headers)).status_code == 401:  # noqa: ASYNC110
                await asyncio.sleep(0.25)
        return headers

    async def predict(self, raw: str = SPAM, **headers: str) -> httpx.Response:
        """Asks for a verdict."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(paths.PREDICT, json={"raw": raw}, headers=named)

    def value(self, name: str, **labels: str) -> float:
        """Returns a metric's value."""
        return self.gateway.parts.measures.registry.get_sample_value(name, labels) or 0.0


def client_of(gateway: Gateway, headers: Mapping[str, str], address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Returns a client that asks the gateway in this process."""
    transport = httpx.ASGITransport(gateway, raise_app_exceptions=True, client=(address, 50_000))
    return httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=headers, timeout=LIMIT_SECONDS
    )


@asynccontextmanager
async def standing(root: Path, **values: Any) -> AsyncIterator[Stand]:
    """Yields a gateway that was started, with its state below `root`."""
    headers = {"X-API-Key": made_key(root, f"tests-{uuid4().hex}")}
    gateway = assembled(GatewaySettings.load(**values), Home(root))
    await gateway.start()
    try:
        async with client_of(gateway, headers) as client:
            yield Stand(gateway, client, root)
    finally:
        await gateway.close()


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Returns the problem document of an answer, after looking at what every one of them must have."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told: dict[str, Any] = orjson.loads(answer.content)
    assert told["status"] == answer.status_code
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["type"] == f"urn:sluice:problem:{told['code']}"
    assert {"title", "detail", "timestamp"} <= told.keys()
    return told
