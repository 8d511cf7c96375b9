"""A console with records, and clients that are signed in or not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from starlette.applications import Starlette

from contracts import gateway as paths
from contracts.environments import Environment
from contracts.monitoring import CONSOLE
from kit.api_keys import keys_file
from kit.api_keys.keys import with_created
from kit.home import Home
from monitoring.console.routes import routes
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records
from tests.monitoring.console.filling import CHANNELS

ADDRESS = "192.0.2.7"
HERE = "http://console.test"


def key(home: Home, name: str = "ann", *, admin: bool = True, **options: Any) -> str:
    """Makes a key and returns it."""
    environments = () if admin else (Environment.STAGING,)
    _, text = keys_file.change(
        paths.keys_file(home.root),
        lambda former: with_created(
            former, name=name, now=datetime.now(UTC), environments=environments, admin=admin, **options
        ),
    )
    return text


def client(app: Starlette, *, base: str = HERE, address: str = ADDRESS, **headers: str) -> httpx.AsyncClient:
    """A browser without a sign-in; it follows nothing by itself."""
    transport = httpx.ASGITransport(app=app, client=(address, 4000))
    return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)


def first(page: LexborHTMLParser | LexborNode, selector: str) -> LexborNode:
    """The first element of a page that is chosen."""
    found = page.css_first(selector)
    assert found is not None, selector
    return found


def field(page: httpx.Response, name: str) -> str:
    """The value of the first hidden field of this name."""
    return first(LexborHTMLParser(page.text), f"input[name={name}]").attributes["value"] or ""


async def sign_in(visitor: httpx.AsyncClient, text: str, *, target: str = "") -> httpx.Response:
    """Fills in the form and returns the answer."""
    page = await visitor.get(f"{CONSOLE}/sign-in", params={"next": target} if target else {})
    return await visitor.post(
        f"{CONSOLE}/sign-in",
        data={"token": field(page, "token"), "next": field(page, "next"), "key": text},
    )


@pytest.fixture
def settings() -> MonitoringSettings:
    """Two channels, so that something is told."""
    return MonitoringSettings.load(channels=CHANNELS)


@pytest.fixture
def parts(settings: MonitoringSettings, home: Home, records: Records) -> Parts:
    """Of a process that only serves the console."""
    return Parts(settings=settings, home=home, records=records, measures=Measures())


@pytest.fixture
def admin_key(home: Home) -> str:
    """The key of ann, who is an admin; made before the console begins, which looks twice a second."""
    return key(home)


@pytest.fixture
def app(parts: Parts, admin_key: str) -> Starlette:
    """The console."""
    return Starlette(routes=routes(parts))


@pytest.fixture
async def visitor(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody that the console knows."""
    async with client(app) as browser:
        yield browser


@pytest.fixture
async def ann(app: Starlette, admin_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """An admin who is signed in."""
    async with client(app) as browser:
        answer = await sign_in(browser, admin_key)
        assert answer.status_code == 303, answer.text
        yield browser
