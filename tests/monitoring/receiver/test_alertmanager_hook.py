"""POST /hooks/alertmanager over a real wire: what our rules see becomes an alert, once, and ends."""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr

from contracts.monitoring import HOOK_ALERTMANAGER
from kit.home import Home
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts, deliveries
from records.tables import MonitoringAlert
from tests.monitoring.hooks import TOKEN, counted, post, served

CHANNEL = {"name": "on-call", "format": "slack", "url": "https://hooks.example.org/x"}


class Hook(NamedTuple):
    """A running receiver."""

    address: str
    parts: Parts


@pytest.fixture
async def hook(home: Home, records: Records) -> AsyncIterator[Hook]:
    """A receiver with a token, and a channel that is told."""
    settings = MonitoringSettings.load(hook_token=SecretStr(TOKEN), channels=[CHANNEL])
    parts = Parts(settings, home, records, Measures())
    async with served(parts) as address:
        yield Hook(address, parts)


def alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    """Returns an alert as Alertmanager sends it."""
    known = {
        "alertname": "SluiceBreakerOpen",
        "severity": "critical",
        "environment": "staging",
        "model": "iris",
        "sluice_kind": "model_error",
        "component": "gateway",
    }
    return {
        "status": status,
        "labels": known | labels,
        "annotations": {"summary": "iris in staging is left alone", "description": "It failed too often."},
        "startsAt": "2026-03-01T12:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph?g0.expr=x",
        "fingerprint": "d6a3a6b5c9e7f001",
    }


def group(*found: dict[str, Any], **changed: Any) -> bytes:
    """Returns what Alertmanager posts."""
    document = {
        "version": "4",
        "groupKey": '{}:{alertname="SluiceBreakerOpen"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "sluice",
        "groupLabels": {"alertname": "SluiceBreakerOpen"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(found),
    }
    return json.dumps(document | changed).encode()


async def told(hook: Hook, body: bytes, token: str = f"Bearer {TOKEN}") -> Any:
    """Returns the answer to one webhook."""
    headers = {"content-type": "application/json", "authorization": token}
    return await post(hook.address, HOOK_ALERTMANAGER, body, headers)


async def book(hook: Hook) -> list[MonitoringAlert]:
    """Returns every alert, newest first."""
    async with hook.parts.records.reading() as session:
        return await alerts.listed(session, open_only=False)


async def test_a_firing_rule_opens_one_alert_however_often_it_is_told(hook: Hook) -> None:
    """With the rule as its family, its severity and words; channels hear of it once."""
    for _ in range(3):
        answer = await told(hook, group(alert()))
        assert (answer.status_code, answer.json()) == (202, {"written": 1, "left": 0})
    (found,) = await book(hook)
    assert found.key == "iris/staging/model_error/SluiceBreakerOpen"
    assert (found.severity, found.summary, found.occurrences) == (
        "critical",
        "iris in staging is left alone",
        3,
    )
    async with hook.parts.records.reading() as session:
        assert [message.change for message in await deliveries.of_alert(session, found.id)] == ["opened"]
    assert counted(hook.parts, "sluice_hooks_total", hook="alertmanager", outcome="accepted") == 3


async def test_a_resolved_rule_resolves_its_alert_and_the_next_one_is_new(hook: Hook) -> None:
    """Told twice, or of a rule that never fired, it changes nothing; who heard of the alert hears its end."""
    await told(hook, group(alert("resolved")))
    assert await book(hook) == []
    await told(hook, group(alert()))
    for _ in range(2):
        assert (await told(hook, group(alert("resolved")))).status_code == 202
    (found,) = await book(hook)
    assert not found.is_open
    assert [(entry["actor"], entry["action"]) for entry in found.history] == [("alertmanager", "resolved")]
    async with hook.parts.records.reading() as session:
        changes = [message.change for message in await deliveries.of_alert(session, found.id)]
    assert changes == ["opened", "resolved"]
    await told(hook, group(alert()))
    assert len(await book(hook)) == 2


async def test_each_kind_and_a_rule_about_the_whole_gateway(hook: Hook) -> None:
    """Without an environment it is production's, and without a model the gateway's."""
    whole = alert(alertname="SluiceRecordsDropped", sluice_kind="prediction_loss", severity="loud")
    del whole["labels"]["environment"], whole["labels"]["model"]
    stale = alert(alertname="SluiceFeaturesDefaulted", sluice_kind="stale_features", severity="warning")
    answer = await told(hook, group(whole, stale, alert()))
    assert answer.json() == {"written": 3, "left": 0}
    assert {(found.key, found.severity) for found in await book(hook)} == {
        ("gateway/production/prediction_loss/SluiceRecordsDropped", "warning"),
        ("iris/staging/stale_features/SluiceFeaturesDefaulted", "warning"),
        ("iris/staging/model_error/SluiceBreakerOpen", "critical"),
    }


async def test_alerts_that_are_none_of_ours_are_accepted_and_left(hook: Hook) -> None:
    """Also what this platform told Alertmanager itself: it must not come back as another alert."""
    ours = {"labels": {"alertname": "SluiceDataDrift", "source": "sluice", "environment": "production"}}
    body = group(
        alert(sluice_kind="data_drift"),
        alert(sluice_kind="anything"),
        alert(environment="canary"),
        alert(alertname=""),
        alert() | ours,
        alert(),
    )
    answer = await told(hook, body)
    assert (answer.status_code, answer.json()) == (202, {"written": 1, "left": 5})
    assert len(await book(hook)) == 1


async def test_words_of_a_rule_stay_words(hook: Hook) -> None:
    """Control characters and lengths that no column holds are cut, and nothing fails."""
    hostile = alert(model="m" * 5000, alertname="Rule\u202e\n" + "x" * 5000)
    hostile["annotations"] = {"summary": "a\x00b\r\nc" + "d" * 50_000}
    assert (await told(hook, group(hostile))).status_code == 202
    (found,) = await book(hook)
    assert found.summary.startswith("a b c")
    assert "\n" not in found.key
    assert len(found.family) == len(found.model_name) == 128


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer another", TOKEN, f"Basic {TOKEN}", "Bearer \xe4"])
async def test_another_token_is_refused(hook: Hook, token: str) -> None:
    """401, and nothing is written."""
    given: Any = token.encode("latin-1")
    answer = await told(hook, group(alert()), given)
    assert (answer.status_code, answer.json()["code"]) == (401, "hook_unsigned")
    assert await book(hook) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", group(alert(), version="3"), group({"status": "firing"}), group(alert("asleep"))],
    ids=["empty", "list", "version", "bare", "status"],
)
async def test_what_alertmanager_does_not_send_is_refused(hook: Hook, body: bytes) -> None:
    """422, and of a group nothing is written."""
    answer = await told(hook, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "hook_malformed")
    assert await book(hook) == []


async def test_without_a_token_nothing_is_accepted(home: Home, records: Records) -> None:
    """503 that says what to set, also for who sends an empty one."""
    parts = Parts(MonitoringSettings.load(), home, records, Measures())
    async with served(parts) as address:
        answer = await told(Hook(address, parts), group(alert()), "Bearer")
    assert (answer.status_code, answer.json()["code"]) == (503, "hook_closed")
