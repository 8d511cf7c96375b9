"""The bundle that answers is the one that the route names, once it was checked, and until another one was."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from structlog.testing import capture_logs

from contracts.environments import Environment
from contracts.routes import route_file
from kit.bundle import Bundle
from kit.home import Home
from tests.gateway.embedded.conftest import Opened, route

STAGING, PRODUCTION = Environment.STAGING, Environment.PRODUCTION
MAIL = b"Subject: prize\n\nclaim it\n"


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.02)


async def version(client: httpx.AsyncClient, environment: Environment = STAGING) -> str:
    """Returns the version that answers."""
    answer = await client.post("/v1/predict", content=MAIL, headers={"X-Environment": environment.value})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model-version"] == answer.json()["version"]
    return str(answer.json()["version"])


async def test_a_new_version_takes_over_while_requests_are_answered(
    opened: Opened, home: Home, mails_1: Bundle, mails_2: Bundle
) -> None:
    """None fails; the other environment stays as it is; each answer is that of the version it names."""
    route(home, STAGING, "1", mails_1)
    route(home, PRODUCTION, "1", mails_1)
    async with opened() as client:
        seen: list[tuple[str, float]] = []
        told = asyncio.Event()

        async def ask() -> None:
            while not told.is_set():
                await asyncio.sleep(0)  # without a network no request waits for anything
                answer = (await client.post("/v1/predict", content=MAIL)).raise_for_status().json()
                seen.append((answer["version"], answer["probability"]))

        tasks = [asyncio.create_task(ask()) for _ in range(4)]
        try:
            route(home, STAGING, "2", mails_2)
            await until(lambda: _is(client, "2"))
        finally:
            told.set()
            await asyncio.gather(*tasks)
        assert len(set(seen)) == len({version for version, _ in seen})
        assert await version(client, PRODUCTION) == "1"
        models = (await client.get("/v1/models")).json()["models"]
        assert {(each["environment"], each["version"]) for each in models} == {
            ("staging", "2"),
            ("production", "1"),
        }


async def test_a_bundle_that_is_refused_changes_nothing(
    opened: Opened, home: Home, mails_1: Bundle, mails_2: Bundle, tmp_path: Path
) -> None:
    """Damaged, another than the route means, not there, a route that is none; then a good one."""
    damaged = tmp_path / "damaged"
    shutil.copytree(mails_2.folder, damaged)
    (damaged / "model.onnx").write_bytes(b"not a graph")
    route(home, STAGING, "1", mails_1)
    async with opened() as client:
        for changes in (
            {"bundle": damaged},
            {"bundle_digest": mails_1.digest},
            {"bundle": tmp_path / "absent"},
        ):
            with capture_logs() as logs:
                route(home, STAGING, "2", mails_2, **changes)
                await until(lambda: _logged(logs, "bundle_refused"))
            assert await version(client) == "1"
        with capture_logs() as logs:
            route_file(home.serving, STAGING, "spam-detector").write_text("{")
            await until(lambda: _logged(logs, "route_unreadable"))
            route(home, PRODUCTION, "1", mails_1)
            await until(lambda: _logged(logs, "bundle_answers"))  # one look later
        assert [entry["event"] for entry in logs].count("route_unreadable") == 1
        assert await version(client) == "1"
        route(home, STAGING, "2", mails_2)
        await until(lambda: _is(client, "2"))


async def test_without_a_route_nothing_answers_and_says_so(
    opened: Opened, home: Home, mails_1: Bundle, flowers_1: Bundle
) -> None:
    """Before the first one, after the last one, and where the bundle takes no e-mails."""
    async with opened(environments=(STAGING,)) as client:
        answer = await client.post("/v1/predict", content=MAIL)
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream_not_ready")
        route(home, STAGING, "1", mails_1)
        await until(lambda: _status(client, 200))
        route_file(home.serving, STAGING, "spam-detector").unlink()
        await until(lambda: _status(client, 503))
        assert (await client.get("/health/ready")).status_code == 503
    async with opened({STAGING: flowers_1.folder}, environments=(STAGING,)) as client:
        ready = await client.get("/health/ready")
        assert "iris" in ready.json()["detail"]


async def test_a_folder_called_by_a_number_is_that_version(
    opened: Opened, mails_1: Bundle, tmp_path: Path
) -> None:
    """As a registry's bundles are kept, and as an image may hold one."""
    shutil.copytree(mails_1.folder, tmp_path / "17")
    async with opened({STAGING: tmp_path / "17"}) as client:
        assert await version(client) == "17"


async def _is(client: httpx.AsyncClient, wanted: str) -> bool:
    return await version(client) == wanted


async def _logged(logs: Sequence[MutableMapping[str, Any]], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


async def _status(client: httpx.AsyncClient, wanted: int) -> bool:
    return (await client.post("/v1/predict", content=MAIL)).status_code == wanted
