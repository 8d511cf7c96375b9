"""A gate of its own for each test, and keys made as `sluice keys` makes them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts import gateway as contract
from contracts.environments import Environment
from gateway.access.access import Access
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.api_keys import keys_file
from kit.api_keys.keys import with_created
from kit.home import Home

ADDRESS = "192.0.2.7"
OpenGate = Callable[..., Awaitable["Gate"]]


class Gate:
    """An `Access` that was started, and what it counts."""

    def __init__(self, home: Home, **values: Any) -> None:
        self.keys_file: Path = values.get("keys_file") or contract.keys_file(home.root)
        self.measures = Measures()
        self.access = Access(GatewaySettings.load(**values), self.measures, home)

    def refused(self, reason: str) -> float:
        """How many requests were refused for this reason."""
        found = self.measures.registry.get_sample_value(
            "sluice_gateway_keys_refused_total", {"reason": reason}
        )
        return found or 0.0


def made(path: Path, name: str = "shop", **options: Any) -> str:
    """Makes a key in the file and returns it."""
    scopes = {"environments": tuple(Environment)} | options
    _, text = keys_file.change(
        path, lambda former: with_created(former, name=name, now=datetime.now(UTC), **scopes)
    )
    return text


def bearer(text: str) -> dict[str, str]:
    """The headers of a request with this key."""
    return {"authorization": f"Bearer {text}"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state folder in which nothing is yet."""
    return Home(tmp_path / "home")


@pytest.fixture
def keys(home: Home) -> Path:
    """The file of keys of this state folder."""
    return contract.keys_file(home.root)


@pytest.fixture
async def opened(home: Home) -> AsyncIterator[OpenGate]:
    """Opens a gate with these settings; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def open_gate(**values: Any) -> Gate:
            gate = Gate(home, **values)
            stack.push_async_callback(gate.access.close)
            await gate.access.start()
            return gate

        yield open_gate
