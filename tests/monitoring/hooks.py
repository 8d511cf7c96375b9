"""Events as a Sluice signs them, and a real server with the receiver behind its layers."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from standardwebhooks import Webhook
from starlette.applications import Starlette

from contracts.environments import Environment
from monitoring.alerts.event import AlertEvent, Change, Evidence
from monitoring.layers import layered
from monitoring.parts import Parts
from monitoring.receiver.routes import routes
from records.tables.monitoring_alerts import AlertKind, Severity

SECRET = "whsec_" + base64.b64encode(b"the first secret of this hook, 32").decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"the one that takes its place, 3x").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"nobody told us of this secret, 32").decode()
TOKEN = "a bearer token"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(**changed: Any) -> AlertEvent:
    """Returns the event of a grave drift of `iris` that was just seen."""
    values: dict[str, Any] = {
        "change": Change.OPENED,
        "at": NOON,
        "alert_id": None,
        "key": "iris/production/data_drift/numbers",
        "model": "iris",
        "environment": Environment.PRODUCTION,
        "version": "1",
        "kind": AlertKind.DATA_DRIFT,
        "family": "numbers",
        "severity": Severity.WARNING,
        "summary": "petal_width_cm moved in 31 of 100 predictions.",
        "opened_at": NOON,
        "occurrences": 1,
        "evidence": Evidence(rows=300, size=0.31),
        "runbook": "docs/runbooks/data_drift.md",
    }
    return AlertEvent(**(values | changed))


def signed(
    body: bytes, *, message: str = "m1", at: datetime | None = None, secret: str = SECRET
) -> dict[str, str]:
    """Returns the headers of a message that was signed now, or `at` another time."""
    at = at or datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, at, body.decode(errors="replace")),
    }


@asynccontextmanager
async def served(parts: Parts) -> AsyncIterator[str]:
    """Yields the address of a server on this machine with the receiver behind the layers of the process."""
    app = layered(Starlette(routes=routes(parts)).router)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    # The signals of this process belong to the test.
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done(), task.result()
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task


async def post(address: str, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """Returns the answer to one message."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        return await client.post(path, content=body, headers=headers)


def counted(parts: Parts, name: str, **labels: str) -> float:
    """Returns what a counter of the process stands at."""
    return parts.measures.registry.get_sample_value(name, labels) or 0
