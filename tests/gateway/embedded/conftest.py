"""Bundles of mail, and a gateway that answers by them in this process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.environments import Environment
from contracts.routes import Route, route_file
from gateway.access_log import AccessLog
from gateway.assembly import assembled
from gateway.settings import GatewaySettings
from kit.bundle import Bundle
from kit.files import write_text
from kit.home import Home
from tests.serving.conftest import bundles, flowers_1, mails_1, mails_2  # noqa: F401 - fixtures

Opened = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def route(home: Home, environment: Environment, version: str, bundle: Bundle, /, **changes: Any) -> None:
    """Writes the route of a bundle."""
    nowhere = "127.0.0.1:1"
    written = Route(
        model="spam-detector",
        environment=environment,
        version=version,
        bundle=bundle.folder,
        bundle_digest=bundle.digest,
        triton_http=nowhere,
        triton_grpc=nowhere,
        url=f"http://{nowhere}",
        transformer=True,
        since=datetime.now(UTC),
    ).model_copy(update=changes)
    write_text(route_file(home.serving, environment, "spam-detector"), written.model_dump_json())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


@pytest.fixture
def opened(home: Home) -> Opened:
    """Opens a gateway that knows no keys and remembers nothing, and yields a client of it."""

    @asynccontextmanager
    async def open_one(
        folders: Mapping[Environment, Path] | None = None, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        values = {
            "development": True,
            "authentication": False,
            "record": False,
            "rate_limit": "1000000/second",
        } | settings
        loaded = GatewaySettings.load(backend="embedded", bundles=dict(folders or {}), **values)
        gateway = assembled(loaded, home, AccessLog(None))
        await gateway.start()
        try:
            transport = httpx.ASGITransport(gateway, raise_app_exceptions=True)
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://gateway",
                headers={"Content-Type": "message/rfc822", "X-Request-Timeout-Ms": "30000"},
            ) as client:
                yield client
        finally:
            await gateway.close()

    return open_one
