"""The template of Alertmanager's configuration: amtool reads and routes, the real server inhibits."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from contracts.monitoring import HOOK_ALERTMANAGER
from monitoring.settings import MonitoringSettings
from tests.kit import debian
from tests.monitoring.rules import replay

pytestmark = pytest.mark.xdist_group("monitoring-rules")

CONFIG: Final = replay.RULES.parent / "alertmanager.yaml"
_WAIT_SECONDS: Final = 60
Labels = dict[str, str]


def amtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Returns how a run of amtool ended; the test skips where there is none."""
    command = (str(debian.program("amtool")), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def of(name: str, **labels: str) -> Labels:
    """Returns the labels with which a rule fires."""
    return {"alertname": name, **replay.alerts()[name]["labels"], **labels}


def told(kind: str, severity: str, **labels: str) -> Labels:
    """Returns the labels of what the channel format `alertmanager` sends."""
    return {
        "alertname": kind, "severity": severity, "model": "a-model", "environment": "production",
        "family": "header", "source": "sluice", **labels,
    }  # fmt: skip


def test_amtool_accepts_the_configuration() -> None:
    """Routes, receivers, inhibition and templates of texts."""
    ended = amtool("check-config", str(CONFIG))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SUCCESS" in ended.stdout


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (of("SluiceErrorBudgetBurningFast", environment="production"), "sluice,on-call"),
        (of("SluiceErrorBudgetBurningFast", environment="staging"), "sluice,staging"),
        (of("SluiceErrorBudgetBurningSlow", environment="production"), "sluice,team"),
        (of("SluiceGatewayDown", job="sluice-gateway"), "on-call"),
        (of("SluiceRecordsDropped", reason="full"), "sluice,on-call"),
        (of("SluiceSpoolFilling", instance="gateway:8000"), "team"),
        (of("SluiceDriftRunStale", environment="production", model="a-model"), "team"),
        (of("SluiceLatencyHigh", environment="staging"), "staging"),
        (of("SluiceProcessDown", job="sluice-transformer", environment="staging"), "staging"),
        (told("SluiceDataDrift", "critical"), "on-call"),
        (told("SluiceDataDrift", "warning"), "team"),
        (told("SluiceDataDrift", "critical", environment="staging"), "staging"),
        (told("SluiceModelError", "critical", family="SluiceBreakerOpen"), "nobody"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_alert_reaches_whom_it_should(labels: Labels, receivers: str) -> None:
    """By severity and environment; what has a kind goes to Sluice's book too, and never back and forth."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    ended = amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receivers}", *pairs
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_receiver_is_used_and_no_secret_stands_in_the_file() -> None:
    """Secrets are files; the hook is ours, with its token as `authorization` sends it."""
    text = CONFIG.read_text("utf-8")
    config = yaml.safe_load(text)
    routes = [config["route"], *config["route"]["routes"]]
    assert {route["receiver"] for route in routes} == {each["name"] for each in config["receivers"]}
    assert not re.search(r"\b(api_url|routing_key|service_key|credentials|password|bearer_token):", text)
    (hook,) = (each for each in config["receivers"] if each["name"] == "sluice")
    (webhook,) = hook["webhook_configs"]
    assert webhook["url"] == f"http://127.0.0.1:{MonitoringSettings().port}{HOOK_ALERTMANAGER}"
    assert webhook["http_config"]["authorization"]["type"] == "Bearer"


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The root of a real Alertmanager with our routes and inhibition, whose receivers tell nobody."""
    folder = tmp_path_factory.mktemp("alertmanager")
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["receivers"] = [{"name": receiver["name"]} for receiver in config["receivers"]]
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            (
                debian.program("alertmanager"),
                f"--config.file={folder / 'alertmanager.yaml'}",
                f"--storage.path={folder}",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ),
            stdout=sink,
            stderr=sink,
        )
    try:
        yield f"http://{_address(process, log)}"
    finally:
        process.terminate()
        process.wait(_WAIT_SECONDS)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(
            r'address=(127\.0\.0\.1:\d+)|"?Listening on"? .*?(127\.0\.0\.1:\d+)', log.read_text()
        ):
            return found[1] or found[2]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize(
    ("source", "silenced", "heard"),
    [
        pytest.param(
            of("SluiceErrorBudgetBurningFast", environment="production"),
            [
                of("SluiceErrorBudgetBurningSlow", environment="production"),
                of("SluiceAvailabilityLow", environment="production"),
                of("SluiceUpstreamErrors", environment="production"),
            ],
            [
                of("SluiceAvailabilityLow", environment="staging"),
                of("SluiceFeaturesDefaulted", environment="production"),
                of("SluiceRecordsDropped", reason="full"),
            ],
            id="the worst of a kind",
        ),
        pytest.param(
            of("SluiceGatewayDown", job="sluice-gateway"),
            [
                of("SluiceErrorBudgetBurningFast", environment="production"),
                of("SluiceBreakerOpen", environment="production", model="a-model"),
                of("SluiceLatencyHigh", environment="production"),
                of("SluiceProcessDown", job="sluice-gateway", instance="gateway:8000"),
                of("SluiceGatewayUnread", instance="monitoring:8010"),
            ],
            [
                of("SluiceProcessDown", job="sluice-triton", environment="production"),
                of("SluiceDeadLetters", channel="on-call"),
                of("SluiceDriftJobStale"),
            ],
            id="a gateway that is down",
        ),
        pytest.param(
            of("SluiceBreakerOpen", environment="production", model="a-model"),
            [
                of("SluiceErrorBudgetBurningFast", environment="production"),
                of("SluiceErrorBudgetBurningSlow", environment="production"),
                of("SluiceLatencyHigh", environment="production"),
            ],
            [
                of("SluiceErrorBudgetBurningFast", environment="staging"),
                of("SluiceProcessDown", job="sluice-transformer", environment="production"),
            ],
            id="a model server that is left alone",
        ),
        pytest.param(
            told("SluiceDataDrift", "critical"),
            [told("SluiceDataDrift", "warning")],
            [
                told("SluiceDataDrift", "warning", family="sender"),
                told("SluiceDataDrift", "warning", environment="staging"),
                told("SluiceConceptDrift", "warning"),
            ],
            id="one cause",
        ),
        pytest.param(
            of("SluiceRecordsUnreadable", instance="monitoring:8010"),
            [of("SluiceDriftJobStale"), of("SluiceFeatureIngestStale")],
            [of("SluiceDeadLetters", channel="on-call"), of("SluiceSpoolFilling", instance="gateway:8000")],
            id="records that nobody can read",
        ),
    ],
)
def test_what_follows_from_a_worse_alert_is_silenced_and_nothing_else(
    alertmanager: str, source: Labels, silenced: list[Labels], heard: list[Labels]
) -> None:
    """By the real Alertmanager, which says of each alert what inhibits it."""
    group = {"case": source["alertname"]}  # other cases' alerts are still there
    sent = [each | group for each in (source, *silenced, *heard)]
    with httpx.Client(base_url=alertmanager, timeout=_WAIT_SECONDS) as client:
        _end_all(client)
        client.post("/api/v2/alerts", json=[{"labels": labels} for labels in sent]).raise_for_status()
        states = _states(client, len(sent), group["case"], {_key(each | group) for each in silenced})
    assert all(states[_key(each | group)] for each in silenced)
    assert not any(states[_key(each | group)] for each in (source, *heard))


def _key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _states(
    client: httpx.Client, count: int, case: str, silenced: set[frozenset[tuple[str, str]]]
) -> dict[frozenset[tuple[str, str]], bool]:
    """Returns whether each alert of a case is inhibited, once Alertmanager has judged them all.

    What inhibits is learnt beside what is asked: the answer is given when `silenced` are, or when time is up.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    states: dict[frozenset[tuple[str, str]], bool] = {}
    while time.monotonic() < deadline:
        found = client.get("/api/v2/alerts", params={"filter": f'case="{case}"'}).json()
        if len(found) == count and all(each["status"]["state"] != "unprocessed" for each in found):
            states = {_key(each["labels"]): bool(each["status"]["inhibitedBy"]) for each in found}
            if all(states[each] for each in silenced):
                break
        time.sleep(0.1)
    assert states, found
    return states


def _end_all(client: httpx.Client) -> None:
    """Ends what an earlier case sent."""
    now = "2000-01-01T00:00:00Z"
    former = client.get("/api/v2/alerts").json()
    ended = [{"labels": each["labels"], "startsAt": now, "endsAt": now} for each in former]
    client.post("/api/v2/alerts", json=ended).raise_for_status()
