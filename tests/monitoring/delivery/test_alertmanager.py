"""A real Alertmanager: an alert appears, is told once however often it is sent, worsens, and ends."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.alerts.event import Change
from monitoring.delivery.attempts import Sent
from monitoring.delivery.channel import Channel
from monitoring.delivery.formats import alertmanager
from monitoring.delivery.sender import send_due
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.tables.monitoring_alerts import Severity
from tests.kit.debian import program
from tests.monitoring.delivery.events import channel, event, opened, queued, settings
from tests.monitoring.delivery.receiver import Receiver

# Each change is told at once, and on its own; what was told is not told again.
CONFIGURATION = """
route:
  receiver: hook
  group_by: ['...']
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
receivers:
  - name: hook
    webhook_configs:
      - url: {url}
        send_resolved: true
"""


@asynccontextmanager
async def running(folder: Path, receiver: Receiver) -> AsyncIterator[str]:
    """Yields the root of an Alertmanager that tells `receiver`."""
    binary = program("alertmanager")
    configuration = folder / "alertmanager.yml"
    configuration.write_text(CONFIGURATION.format(url=receiver.url("/told")))
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
        await ready(f"http://{address}")
        yield f"http://{address}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def ready(root: str) -> None:
    """Returns when it answers."""
    transport = httpx.AsyncHTTPTransport(retries=8)  # half a second, one, two, …
    async with httpx.AsyncClient(trust_env=False, transport=transport) as client:
        (await client.get(f"{root}/-/ready")).raise_for_status()


async def active(root: str) -> list[dict[str, Any]]:
    """Returns the alerts that are open there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        found: list[dict[str, Any]] = (await client.get(f"{root}/api/v2/alerts")).json()
    return found


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Returns status and severity of each notification."""
    return [
        (each["status"], each["labels"]["severity"])
        for request in receiver.received
        for each in request.document["alerts"]
    ]


async def send(records: Records, made: MonitoringSettings) -> Sent:
    """Runs a pass."""
    return await send_due(records, made, now=datetime.now(UTC))


async def test_an_alert_lives_in_a_real_alertmanager(
    memory: Records, tmp_path: Path, receiver: Receiver
) -> None:
    """It opens, is repeated, worsens, is acknowledged and ends; people hear of each state once."""
    now = datetime.now(UTC).replace(microsecond=0)  # it keeps milliseconds
    async with running(tmp_path, receiver) as root:
        made = settings(channel("alertmanager", root))
        alert_id = await opened(memory)
        story: dict[str, Any] = {"alert_id": alert_id, "opened_at": now - timedelta(hours=2)}

        await queued(memory, made.channels, Change.OPENED, at=now, **story)
        assert await send(memory, made) == Sent(delivered=1)
        (alert,) = await active(root)
        assert alert["labels"] == {
            "alertname": "SluiceDataDrift",
            "environment": "production",
            "family": "header",
            "model": "spam-detector",
            "severity": "warning",
            "source": "sluice",
        }
        assert alert["annotations"]["summary"] == "Received headers fell from 4 to 1."
        assert alert["annotations"]["runbook_url"] == "docs/runbooks/data_drift.md"
        assert alert["annotations"]["alert_id"] == str(alert_id)
        assert alert["generatorURL"] == "https://sluice.example.org/console/alerts/1"
        assert datetime.fromisoformat(alert["startsAt"]) == story["opened_at"]
        # Without an end of ours it would end by itself after five minutes.
        assert datetime.fromisoformat(alert["endsAt"]) > now + timedelta(days=300)
        await receiver.wait(lambda: told(receiver) == [("firing", "warning")])

        # The same message once more, as after a sender's death; then somebody looks after it.
        await repeated(made.channels[0], story, now)
        await queued(memory, made.channels, Change.ACKNOWLEDGED, at=now, actor="ann", **story)
        assert await send(memory, made) == Sent(delivered=1)
        (alert,) = await active(root)
        assert "By: ann" in alert["annotations"]["description"]

        await queued(memory, made.channels, Change.WORSENED, at=now, severity=Severity.CRITICAL, **story)
        assert await send(memory, made) == Sent(delivered=1)
        (alert,) = await active(root)
        assert alert["labels"]["severity"] == "critical"
        await receiver.wait(lambda: len(told(receiver)) >= 3)

        # What is resolved may be milder by then, and ends whatever was told.
        await queued(memory, made.channels, Change.RESOLVED, at=now, severity=Severity.INFO, **story)
        assert await send(memory, made) == Sent(delivered=1)
        assert await active(root) == []
        await receiver.wait(lambda: len(told(receiver)) >= 4)

        await queued(memory, made.channels, alert_id=await opened(memory, "score"), family="score", at=now)
        assert await send(memory, made) == Sent(delivered=1)
        await receiver.wait(lambda: len(told(receiver)) >= 5)
    assert told(receiver)[0] == ("firing", "warning")
    assert sorted(told(receiver)[1:3]) == [("firing", "critical"), ("resolved", "warning")]
    assert told(receiver)[3:] == [("resolved", "critical"), ("firing", "warning")]


async def repeated(to: Channel, story: dict[str, Any], now: datetime) -> None:
    """Sends what was sent before."""
    request = alertmanager.request(to, event(at=now, **story))
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(request.url, headers=request.headers, content=request.body)
    assert answer.status_code == 200


async def test_the_real_one_refuses_what_is_no_alert(
    memory: Records, tmp_path: Path, receiver: Receiver
) -> None:
    """Its words are kept with the dead letter; and a test ends by itself."""
    async with running(tmp_path, receiver) as root:
        made = settings(channel("alertmanager", f"{root}/nowhere"))
        await queued(memory, made.channels, Change.OPENED, at=datetime.now(UTC))
        assert await send(memory, made) == Sent(dead=1)
        request = alertmanager.request(
            channel("alertmanager", root), event(Change.TEST, at=datetime.now(UTC))
        )
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (
                await client.post(request.url, headers=request.headers, content=request.body)
            ).status_code == 200
        (alert,) = await active(root)
    assert alert["labels"]["alertname"] == "SluiceTest"
    assert datetime.fromisoformat(alert["endsAt"]) < datetime.now(UTC) + timedelta(minutes=6)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://am:9093", "http://am:9093/api/v2/alerts"),
        ("http://am:9093/", "http://am:9093/api/v2/alerts"),
        ("https://am.example/prefix/?tenant=a", "https://am.example/prefix/api/v2/alerts?tenant=a"),
        ("https://am.example/api/v2/alerts", "https://am.example/api/v2/alerts"),
    ],
)
def test_the_root_may_be_written_in_any_way(url: str, expected: str) -> None:
    """With a prefix, a query, a slash, or the whole path."""
    assert alertmanager.request(channel("alertmanager", url), event()).url == expected
