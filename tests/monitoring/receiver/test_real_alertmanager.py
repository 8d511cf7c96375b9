"""A real Alertmanager posts to the hook: what it sends of a rule is understood, firing and resolved."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from pydantic import SecretStr

from contracts.monitoring import HOOK_ALERTMANAGER
from kit.home import Home
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts
from records.tables import MonitoringAlert
from tests.kit.debian import program
from tests.monitoring.hooks import TOKEN, served

CONFIGURATION = """
route:
  receiver: sluice
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
receivers:
  - name: sluice
    webhook_configs:
      - url: {url}
        send_resolved: true
        http_config:
          authorization:
            type: Bearer
            credentials_file: {token}
"""


@asynccontextmanager
async def alertmanager(folder: Path, hook: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yields a client of an Alertmanager that tells `hook`."""
    binary, token = program("alertmanager"), folder / "token"
    token.write_text(f"{TOKEN}\n")
    configuration = folder / "alertmanager.yml"
    configuration.write_text(CONFIGURATION.format(url=hook, token=token))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with (folder / "alertmanager.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(binary), f"--config.file={configuration}", f"--storage.path={folder / 'data'}"),
            *(f"--web.listen-address={address}", "--cluster.listen-address="),
            env={"PATH": os.environ["PATH"]},
            stdout=log,
            stderr=log,
        )
    try:
        transport = httpx.AsyncHTTPTransport(retries=8)  # half a second, one, two, …
        async with httpx.AsyncClient(base_url=f"http://{address}", transport=transport) as client:
            (await client.get("/-/ready")).raise_for_status()
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for `condition`, up to a minute."""
    for _ in range(600):
        if await condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("It did not come to be within a minute.")


async def test_a_rules_alert_goes_through_a_real_alertmanager_into_the_book_and_out_of_it(
    home: Home, records: Records, tmp_path: Path
) -> None:
    """Its token comes out of a file, as in the configuration that we ship."""
    settings = MonitoringSettings.load(hook_token=SecretStr(TOKEN))
    labels = {
        "alertname": "SluiceBreakerOpen",
        "severity": "critical",
        "sluice_kind": "model_error",
        "environment": "production",
        "model": "iris",
    }
    now = datetime.now(UTC)
    fires = {"labels": labels, "annotations": {"summary": "iris is left alone"}, "startsAt": now.isoformat()}

    async def known() -> list[MonitoringAlert]:
        async with records.reading() as session:
            return await alerts.listed(session, open_only=False)

    async def is_open() -> bool:
        return [alert.is_open for alert in await known()] == [True]

    async def is_over() -> bool:
        return [alert.is_open for alert in await known()] == [False]

    async with (
        served(Parts(settings, home, records, Measures())) as address,
        alertmanager(tmp_path, f"{address}{HOOK_ALERTMANAGER}") as client,
    ):
        (await client.post("/api/v2/alerts", json=[fires])).raise_for_status()
        await until(is_open)
        (alert,) = await known()
        assert alert.key == "iris/production/model_error/SluiceBreakerOpen"
        assert (alert.severity, alert.summary) == ("critical", "iris is left alone")
        ended = fires | {"endsAt": now.isoformat()}
        (await client.post("/api/v2/alerts", json=[ended])).raise_for_status()
        await until(is_over)
