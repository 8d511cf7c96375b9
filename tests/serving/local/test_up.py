"""The whole of local serving: real Triton, real transformers, a real registry, and what kills them."""

import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from cli.main import main
from contracts.environments import Environment
from contracts.metrics import METRICS
from contracts.monitoring import ScrapeJob, address_file
from kit.bundle import Bundle
from kit.errors import Bug
from kit.home import Home
from kit.onnx_function import OnnxFunction
from records import model_registry
from records.bundles import fetched
from serving import model_repository
from serving.deployers.deployer import CandidateNotReady, CandidateRefused
from serving.deployers.local import LocalDeployer
from serving.local import leftovers, programs, routing
from serving.local.door import door
from serving.local.example import request
from serving.local.stack import Stack
from serving.local.status import Status, status
from serving.local.targets import targets
from serving.local.up import Outcome, up
from serving.settings import ServingSettings
from tests.serving.local.conftest import register

pytestmark = [
    pytest.mark.xdist_group("up"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

STAGING, PRODUCTION = Environment.STAGING, Environment.PRODUCTION
FLOWERS, MAILS = "iris", "spam-detector"
MAIL = (
    "From: Ann <ann@example.org>\nSubject: agenda\n\nplease review the attached report, winner of the prize"
)


def until(holds: Callable[[], Any], seconds: float = 200) -> Any:
    """Returns what `holds` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("It never held.")


@pytest.fixture(scope="module")
def empty(homes: Callable[[], Home]) -> Home:
    """A home whose registry holds nothing."""
    return homes()


@pytest.fixture(scope="module")
def small(homes: Callable[[], Home], flowers_1: Bundle, flowers_2: Bundle) -> Home:
    """A home whose one model needs no transformer; nothing runs."""
    home = homes()
    register(home, [flowers_1, flowers_2], {STAGING: "2", PRODUCTION: "1"})
    return home


@pytest.fixture(scope="module")
def stack(homes: Callable[[], Home], small: Home, mails_1: Bundle, mails_2: Bundle) -> Stack:
    """Everything up: version 2 of both models in staging, version 1 in production."""
    home = homes()
    shutil.copy(small.root / "mlflow.db", home.root)
    register(home, [mails_1, mails_2], {STAGING: "2", PRODUCTION: "1"})
    outcome = brought_up(home)
    assert outcome.problems == []
    return Stack(home, ServingSettings.load())


def brought_up(home: Home) -> Outcome:
    """Brings everything up, with the gateway and what monitors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVING_GATEWAY", "true")
        patch.setenv("SERVING_MONITORING", "true")
        return up(home, list(Environment))


def asked_flowers(home: Home, environment: Environment, rows: Any) -> Any:
    """Returns the probabilities that the environment gives."""
    route = routing.read(home, environment, FLOWERS)
    assert route is not None
    assert not route.transformer
    tensor = {
        "name": "features",
        "datatype": "FP32",
        "shape": list(rows.shape),
        "data": rows.ravel().tolist(),
    }
    answer = httpx.post(
        f"{route.url}/v2/models/{FLOWERS}/versions/{route.version}/infer",
        json={"inputs": [tensor]},
        timeout=10,
    )
    outputs = {output["name"]: output for output in answer.raise_for_status().json()["outputs"]}
    return np.array(outputs["probabilities"]["data"]).reshape(outputs["probabilities"]["shape"])


def asked_mail(home: Home, environment: Environment) -> tuple[str, float]:
    """Returns the version that answered, and its probability."""
    route = routing.read(home, environment, MAILS)
    assert route is not None
    assert route.transformer
    tensor = {"name": "email", "datatype": "BYTES", "shape": [1], "data": [MAIL]}
    answer = httpx.post(f"{route.url}/v2/models/{MAILS}/infer", json={"inputs": [tensor]}, timeout=10)
    body = answer.raise_for_status().json()
    outputs = {output["name"]: output["data"] for output in body["outputs"]}
    return body["model_version"], outputs["probability"][0]


def told(home: Home) -> Status:
    """Returns the status when everything has settled."""
    settled: Status = until(lambda: found if not (found := status(home)).problems else None)
    return settled


def command(home: Home, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs `sluice` in a process of its own."""
    return subprocess.run(
        (sys.executable, "-c", "from cli.main import main; main()", *words),
        env={**os.environ, "SLUICE_HOME": str(home.root), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Returns those that have not ended."""
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def pids(found: Status) -> dict[str, int | None]:
    """Returns the number of each process by its name."""
    return {process.name: process.pid for process in found.processes}


def test_each_environment_answers_with_its_own_version(
    stack: Stack, flowers_1: Bundle, flowers_2: Bundle
) -> None:
    """Both kinds of model, in both environments, as their bundles' own graphs answer."""
    rows = np.random.default_rng(5).normal(3, 1, (6, 4)).astype(np.float32)
    for environment, bundle in ((STAGING, flowers_2), (PRODUCTION, flowers_1)):
        wanted = OnnxFunction(bundle.model.read_bytes())({"features": rows})["probabilities"]
        assert np.abs(asked_flowers(stack.home, environment, rows) - wanted).max() <= 1e-6
    version, one = asked_mail(stack.home, STAGING)
    other_version, other = asked_mail(stack.home, PRODUCTION)
    assert (version, other_version) == ("2", "1")
    assert one != other


def test_status_tells_versions_processes_and_addresses(stack: Stack) -> None:
    """Nothing is amiss, and every process has a number, memory and an address that answers."""
    found = told(stack.home)
    assert [(each.environment, each.model, each.served, each.alias, each.ready) for each in found.models] == [
        (PRODUCTION, FLOWERS, "1", "1", True),
        (PRODUCTION, MAILS, "1", "1", True),
        (STAGING, FLOWERS, "2", "2", True),
        (STAGING, MAILS, "2", "2", True),
    ]
    assert {process.name for process in found.processes} == {
        "gateway",
        "monitoring",
        *(f"{kind}-{environment}" for kind in ("triton", "transformer") for environment in Environment),
    }
    assert found.gateway is not None
    assert found.gateway.environments == {"staging": True, "production": True}
    for process in found.processes:
        assert process.state == "ready"
        assert process.memory_bytes > 10_000_000
        assert process.restarts == 0
        assert process.since is not None
        path = "/health/live" if process.name in {"gateway", "monitoring"} else "/v2/health/live"
        assert httpx.get(f"http://{process.addresses['http']}{path}").is_success


def test_the_gateway_answers_for_both_environments_with_the_key_that_is_told(stack: Stack) -> None:
    """The curl line as it is told; each environment by its own version; without a key nobody."""
    at = door(stack.home)
    assert at is not None
    assert at.key is not None
    _, _, url, *pairs = shlex.split(str(at.example))
    values = dict(zip(pairs[::2], pairs[1::2], strict=True)) | {"-H": ""}
    heads = dict(head.split(": ") for flag, head in zip(pairs[::2], pairs[1::2], strict=True) if flag == "-H")
    for environment, version in ((STAGING, "2"), (PRODUCTION, "1")):
        answer = httpx.post(
            url, content=values["-d"], headers=heads | {"X-Environment": environment.value}, timeout=60
        )
        told_of = answer.raise_for_status().json()
        assert (told_of["environment"], told_of["version"]) == (environment, version)
        raw = httpx.post(
            url,
            content=MAIL,
            headers=heads | {"X-Environment": environment.value, "Content-Type": "message/rfc822"},
            timeout=60,
        ).json()
        assert np.float32(raw["probability"]) == np.float32(asked_mail(stack.home, environment)[1])
    assert httpx.post(url, content=values["-d"]).status_code == 401
    assert httpx.get(at.docs).is_success


def test_predict_asks_the_gateway_and_tells_its_request_id(stack: Stack, tmp_path: Path) -> None:
    """The id is that of the row in the records; what is refused is told."""
    file = tmp_path / "a.eml"
    file.write_text(MAIL)
    asked = command(stack.home, "predict", str(file), "--env", "production", "--json")
    assert asked.returncode == 0, asked.stderr
    (told_of,) = json.loads(asked.stdout)
    assert (told_of["environment"], told_of["version"]) == ("production", "1")
    at = door(stack.home)
    assert at is not None

    def remembered() -> Any:
        url = f"{at.url}/v1/predictions/{told_of['request_id']}"
        answer = httpx.get(url, headers={"X-API-Key": str(at.key)}, timeout=60)
        return answer.json() if answer.is_success else None

    row = until(remembered)
    assert (row["verdict"], row["version"]) == (told_of["verdict"], "1")
    wrong = tmp_path / "b.json"
    wrong.write_text('{"colour": 1}')
    refused = command(stack.home, "predict", str(wrong))
    assert refused.returncode == 1
    assert "colour" in refused.stderr


def test_a_killed_gateway_comes_back_at_its_address(stack: Stack) -> None:
    """With the same key."""
    before = door(stack.home)
    pid = pids(told(stack.home))["gateway"]
    os.kill(pid or 0, signal.SIGKILL)
    until(lambda: pids(status(stack.home)).get("gateway") not in {None, pid})
    assert told(stack.home).gateway is not None
    assert door(stack.home) == before


def test_prometheus_finds_metrics_of_the_contract_at_every_target(stack: Stack) -> None:
    """Every process with metrics is a target, under its job, with what rules and dashboards read of it."""
    groups = targets(told(stack.home).processes)
    places = [(group["labels"]["job"], group["labels"].get("environment")) for group in groups]
    both = [environment.value for environment in Environment]
    assert sorted(places, key=str) == sorted(
        [
            (ScrapeJob.GATEWAY, None),
            (ScrapeJob.MONITORING, None),
            *((job, place) for job in (ScrapeJob.TRANSFORMER, ScrapeJob.TRITON) for place in both),
        ],
        key=str,
    )
    known = {metric.name for metric in METRICS}
    read = {
        ScrapeJob.GATEWAY: {"sluice_gateway_in_flight", "process_resident_memory_bytes"},
        ScrapeJob.MONITORING: {"sluice_monitoring_records_up", "process_resident_memory_bytes"},
        ScrapeJob.TRANSFORMER: {"sluice_transformer_messages_total", "process_resident_memory_bytes"},
        ScrapeJob.TRITON: {
            "nv_inference_request_success", "nv_inference_request_failure", "nv_inference_queue_duration_us",
        },
    }  # fmt: skip
    for group in groups:
        answer = httpx.get(f"http://{group['targets'][0]}/metrics", timeout=30).raise_for_status()
        names = set(re.findall(r"^# TYPE (\w+) ", answer.text, re.MULTILINE))
        assert read[ScrapeJob(group["labels"]["job"])] <= names
        assert {
            name for name in names if name.startswith("sluice_") and not name.endswith("_created")
        } <= known


def test_the_console_answers_where_status_says_and_the_development_key_opens_it(stack: Stack) -> None:
    """At the address of its file too; without the key it asks for one."""
    found = told(stack.home)
    at = door(stack.home)
    assert found.monitoring is not None
    assert at is not None
    assert address_file(stack.home.root).read_text().strip() == found.monitoring.url
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        form = browser.get(found.monitoring.console)
        hidden = dict(re.findall(r'name="(token|next)" value="([^"]*)"', form.text))
        page = browser.post(f"{found.monitoring.console}/sign-in", data={**hidden, "key": str(at.key)})
    assert page.is_success
    assert "Sign out" in page.text
    assert MAILS in page.text


def test_a_killed_monitoring_process_comes_back_at_its_address(stack: Stack) -> None:
    """And keeps the clock again."""
    before = told(stack.home)
    pid = pids(before)["monitoring"]
    os.kill(pid or 0, signal.SIGKILL)
    until(lambda: pids(status(stack.home)).get("monitoring") not in {None, pid})
    assert told(stack.home).monitoring == before.monitoring
    log = (stack.home.serving / "logs" / "monitoring.log").read_text
    until(lambda: log().count("schedule_begun") == 2)


def test_up_again_and_twice_at_once_changes_nothing(stack: Stack) -> None:
    """Two of them, at the same time: the same processes, and no problem."""
    before = told(stack.home)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setenv("SERVING_GATEWAY", "true")
        patch.setenv("SERVING_MONITORING", "true")
        outcomes = list(pool.map(lambda _: up(stack.home, list(Environment)), range(2)))
    assert [outcome.problems for outcome in outcomes] == [[], []]
    after = told(stack.home)
    assert pids(after) == pids(before)
    killed = {"gateway", "monitoring"}
    assert [process.restarts for process in after.processes if process.name not in killed] == [0] * 4


def test_a_killed_triton_comes_back_with_its_models_and_the_transformer_recovers(stack: Stack) -> None:
    """Nobody runs a command: the same ports, the same versions."""
    before = pids(told(stack.home))
    os.kill(before["triton-staging"] or 0, signal.SIGKILL)
    until(lambda: pids(status(stack.home))["triton-staging"] not in (None, before["triton-staging"]))
    after = told(stack.home)
    assert {process.name: process.restarts for process in after.processes}["triton-staging"] == 1
    assert asked_mail(stack.home, STAGING)[0] == "2"
    assert asked_flowers(stack.home, STAGING, np.ones((1, 4), np.float32)).shape == (1, 3)


def test_a_killed_transformer_comes_back(stack: Stack) -> None:
    """With the version of its route."""
    before = pids(told(stack.home))
    os.kill(before["transformer-production"] or 0, signal.SIGKILL)
    until(
        lambda: (
            pids(status(stack.home))["transformer-production"] not in (None, before["transformer-production"])
        )
    )
    told(stack.home)
    assert asked_mail(stack.home, PRODUCTION)[0] == "1"


def test_a_process_that_hangs_is_told_and_status_fails(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1, with the name and the command to run; when it goes on, all is well again."""
    pid = pids(told(stack.home))["triton-production"] or 0
    os.kill(pid, signal.SIGSTOP)
    try:
        monkeypatch.setenv("SLUICE_HOME", str(stack.home.root))
        with pytest.raises(SystemExit) as left:
            main(("status", "--json"))
        found = json.loads(capsys.readouterr().out)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert left.value.code == 1
    states = {process["name"]: process["state"] for process in found["processes"]}
    assert states["triton-production"] == "not ready"
    assert states["triton-staging"] == "ready"
    assert any("triton-production is not ready" in problem for problem in found["problems"])
    assert any("sluice logs triton-production" in problem for problem in found["problems"])
    told(stack.home)


def test_status_tells_when_an_alias_has_moved_on_and_up_follows_it(stack: Stack) -> None:
    """What answers is not what the alias says; `sluice up` moves it, and the former version is unloaded."""
    registry = model_registry.opened(stack.home)
    for model in (FLOWERS, MAILS):
        registry.point(model, PRODUCTION, "2")
    try:
        problems = status(stack.home).problems
        assert len(problems) == 2
        assert all("version 1 answers, and the alias points at version 2" in each for each in problems)
        assert all("sluice up" in each for each in problems)
        assert up(stack.home, [PRODUCTION]).problems == []
        assert asked_mail(stack.home, PRODUCTION)[0] == "2"
        deployer = LocalDeployer(stack)
        repository = programs.repository(stack.home, PRODUCTION)
        for model in (FLOWERS, MAILS):
            assert deployer.loaded(model, PRODUCTION) == {"2"}
            assert model_repository.stored_versions(repository, model) == ("2",)
    finally:
        for model in (FLOWERS, MAILS):
            registry.point(model, PRODUCTION, "1")
        assert up(stack.home, [PRODUCTION]).problems == []
    assert asked_mail(stack.home, PRODUCTION)[0] == "1"


def test_every_step_of_a_move_may_be_repeated(stack: Stack) -> None:
    """Prepare, verify, switch, retire, each twice, for both kinds of model; and back again."""
    home, deployer = stack.home, LocalDeployer(stack)
    registry = model_registry.opened(home)
    for model in (FLOWERS, MAILS):
        for former, version in (("2", "1"), ("1", "2")):
            bundle = fetched(registry, home, model, version)
            for _ in range(2):
                deployer.prepare(model, STAGING, version, bundle)
                assert deployer.loaded(model, STAGING) == {"1", "2"}
                assert deployer.current(model, STAGING) == former
            for _ in range(2):
                deployer.verify(model, STAGING, version, bundle)
            for _ in range(2):
                deployer.switch(model, STAGING, version, bundle)
                assert deployer.current(model, STAGING) == version
                assert deployer.loaded(model, STAGING) == {"1", "2"}
            for _ in range(2):
                deployer.retire(model, STAGING, former)
                assert deployer.loaded(model, STAGING) == {version}
    told(home)


def test_a_candidate_that_is_given_up_leaves_nothing_and_the_current_one_serves_on(stack: Stack) -> None:
    """Abandoned twice; the version that answers is never unloaded."""
    home, deployer = stack.home, LocalDeployer(stack)
    bundle = fetched(model_registry.opened(home), home, MAILS, "1")
    deployer.prepare(MAILS, STAGING, "1", bundle)
    for _ in range(2):
        deployer.abandon(MAILS, STAGING, "1")
        assert deployer.loaded(MAILS, STAGING) == {"2"}
    for end in (deployer.abandon, deployer.retire):
        with pytest.raises(Bug):
            end(MAILS, STAGING, "2")
    assert asked_mail(home, STAGING)[0] == "2"


def test_a_version_that_answers_otherwise_is_refused_with_the_rows_that_differ(stack: Stack) -> None:
    """Version 2 is loaded, and version 1's bundle is held against it."""
    home, deployer = stack.home, LocalDeployer(stack)
    wrong = fetched(model_registry.opened(home), home, FLOWERS, "1")
    with pytest.raises(CandidateRefused) as refused:
        deployer.verify(FLOWERS, STAGING, "2", wrong)
    assert "Golden row" in refused.value.reasons[0]


def test_a_graph_that_cannot_be_loaded_changes_nothing(
    stack: Stack, flowers_1: Bundle, tmp_path: Path
) -> None:
    """Triton's reason is told, and the version that serves goes on, alone."""
    deployer = LocalDeployer(stack)
    broken = Bundle(tmp_path, flowers_1.contract, flowers_1.parity)
    broken.model.write_bytes(b"no graph")
    with pytest.raises(CandidateNotReady, match="Version 3 of iris cannot be loaded"):
        deployer.prepare(FLOWERS, STAGING, "3", broken)
    assert deployer.loaded(FLOWERS, STAGING) == {"2"}
    repository = programs.repository(stack.home, STAGING)
    assert model_repository.stored_versions(repository, FLOWERS) == ("2",)
    assert model_repository.served_versions(repository, FLOWERS) == ("2",)
    asked_flowers(stack.home, STAGING, np.ones((1, 4), np.float32))


def test_a_machine_where_triton_cannot_run_is_told_in_words(
    small: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason and what to do; the process manager runs on for the rest."""
    with monkeypatch.context() as patch:
        patch.setattr(platform, "machine", lambda: "aarch64")
        outcome = up(small, [PRODUCTION])
    stack = Stack(small, ServingSettings.load())
    assert [problem.what for problem in outcome.problems] == ["triton-production"]
    assert "aarch64" in outcome.problems[0].message
    assert "embedded" in str(outcome.problems[0].next_step)
    assert stack.stop()


def test_the_command_brings_up_and_what_it_started_outlives_it(small: Home) -> None:
    """In a process of its own, which ends: MLflow's pages, the console, the model, asked as it was told."""
    more = {"SERVING_MLFLOW_PAGES": "true", "SERVING_MONITORING": "true"}
    brought = command(small, "up", "--environment", "production", "--json", **more)
    assert brought.returncode == 0, brought.stdout + brought.stderr
    found = json.loads(brought.stdout)
    addresses = {process["name"]: process["addresses"]["http"] for process in found["processes"]}
    assert addresses.keys() == {"mlflow", "monitoring", "triton-production"}
    assert found["monitoring"]["console"] == f"http://{addresses['monitoring']}/console"
    assert httpx.get(f"{found['monitoring']['console']}/sign-in", timeout=60).is_success
    said = " ".join(command(small, "status").stderr.split())
    assert f"Console: {found['monitoring']['console']} (sign in with an admin key: sluice keys" in said
    for name in ("triton-production", "iris version 1 in production", "mlflow", "monitoring"):
        assert f"{name}: ready after" in brought.stderr
    assert httpx.get(f"http://{addresses['mlflow']}/health", timeout=60).is_success
    route = routing.read(small, PRODUCTION, FLOWERS)
    assert route is not None
    example = shlex.split(str(request(route.url, FLOWERS, "1")))
    answer = httpx.post(example[2], content=example[4], timeout=60)
    assert len(answer.raise_for_status().json()["outputs"]) == 2


def test_a_killed_supervisor_is_told_and_down_leaves_nothing(small: Home) -> None:
    """Its children outlive it, and `down` finds them without it."""
    stack = Stack(small, ServingSettings.load())
    family = leftovers.find(small.serving)
    assert len(family) >= 4
    os.kill(stack.state().pid or 0, signal.SIGKILL)
    until(lambda: not stack.running())
    assert any("sluice up" in problem for problem in status(small).problems)
    assert len(leftovers.find(small.serving)) >= 3
    ended = command(small, "down", "--json")
    assert json.loads(ended.stdout) == {"ended": True}
    assert alive(family) == []
    assert leftovers.find(small.serving) == []
    assert not address_file(small.root).exists()
    assert not stack.state().socket.exists()
    found = status(small)
    assert (found.problems, found.processes) == ([], [])
    assert any("sluice up" in note for note in found.notes)
    assert not stack.stop()


def test_up_overcomes_a_killed_supervisor_with_the_same_addresses(small: Home) -> None:
    """Without `down`: what it left is ended, and everything is there again."""
    stack = Stack(small, ServingSettings.load())
    before = stack.state().ports["triton-production"]
    assert up(small, [PRODUCTION]).problems == []
    os.kill(stack.state().pid or 0, signal.SIGKILL)
    until(lambda: not stack.running())
    left = leftovers.find(small.serving)
    assert left
    assert up(small, [PRODUCTION]).problems == []
    assert alive(left) == []
    assert stack.state().ports["triton-production"] == before
    assert told(small).processes[0].restarts == 0
    assert asked_flowers(small, PRODUCTION, np.ones((2, 4), np.float32)).shape == (2, 3)


def test_up_without_a_model_says_how_to_get_one(empty: Home) -> None:
    """Nothing fails: the process manager runs, and each environment has its sentence."""
    home = empty
    outcome = up(home, list(Environment))
    assert outcome.problems == []
    assert any("sluice pipeline run" in hint for hint in outcome.hints)
    assert any("sluice model promote" in hint for hint in outcome.hints)
    assert Stack(home, ServingSettings.load()).running()
    assert status(home).problems == []


def test_status_of_a_home_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    """It says what to run."""
    found = status(Home(tmp_path / "home"))
    assert (found.problems, found.processes, found.models) == ([], [], [])
    assert any("sluice up" in note for note in found.notes)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1, "socket": "/nowhere/x.sock"}'])
def test_a_state_that_is_stale_or_damaged_is_overcome(homes: Callable[[], Home], text: str) -> None:
    """As after a restart of the machine: the number is another process', the socket is gone."""
    home = homes()
    home.serving.mkdir(parents=True)
    (home.serving / "state.json").write_text(text)
    stack = Stack(home, ServingSettings.load())
    assert not stack.running()
    stack.start()
    assert stack.running()
    assert stack.state().pid != 1
    assert stack.stop()


def test_logs_are_found_by_name_and_unknown_names_list_them(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 with the names; the end of a log as long as it was asked for."""
    monkeypatch.setenv("SLUICE_HOME", str(stack.home.root))
    with pytest.raises(SystemExit) as left:
        main(("logs", "../state"))
    assert left.value.code == 2
    assert "triton-staging" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(("logs", "triton-production", "-n", "3"))
    assert left.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
