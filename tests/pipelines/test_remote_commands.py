"""`sluice pipeline submit` and `schedule` from the outside, against a server that speaks the v2beta1 API."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from tests.pipelines.conftest import FakeKubeflow

Run = Callable[..., tuple[int, str, str]]

SECRET = "never-to-be-shown"
SUBMIT = ("submit", "--workload", "iris", "--trials", "3")
SCHEDULE = ("schedule", "--workload", "iris", "--cron", "0 0 3 * * *")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `sluice pipeline` with arguments; returns exit code, standard output and standard error."""
    for name in [name for name in os.environ if name.startswith("PIPELINES_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIPELINES_POLL_SECONDS", "0.01")
    monkeypatch.setenv("PIPELINES_TIMEOUT_SECONDS", "10")

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["pipeline", *arguments])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return command


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a token in it, as a mounted secret is, which the setting names."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    monkeypatch.setenv("PIPELINES_TOKEN_FILE", str(path))
    return path


def test_a_run_is_submitted_and_waited_for(run: Run, kubeflow: FakeKubeflow) -> None:
    """Standard output is the run as JSON alone; the server got the compiled pipeline and its parameters."""
    code, out, err = run(*SUBMIT, "--endpoint", kubeflow.address, "--wait", "--json")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    assert (told["id"], told["state"]) == ("r0", "SUCCEEDED")
    assert told["link"] == f"{kubeflow.address}/#/runs/details/r0"
    assert (told["parameters"]["workload"], told["parameters"]["trials"]) == ("iris", 3)
    sent = kubeflow.runs[0]
    assert sent["runtime_config"]["parameters"] == told["parameters"]
    assert sent["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "sluice-training"
    assert "kubernetes" in sent["pipeline_spec"]["platform_spec"]["platforms"]
    assert kubeflow.experiments[0]["display_name"] == "sluice"


def test_a_machine_says_why_it_submits(run: Run, kubeflow: FakeKubeflow) -> None:
    """The first task of the run writes it down; a person says nothing and is one."""
    row = "01a1ff9b-4621-7d07-8b70-9400192a5855"
    why = ("--trigger", "drift", "--reason", "warning data drift", "--announced", row)
    code, out, err = run(*SUBMIT, *why, "--endpoint", kubeflow.address, "--json")
    assert code == 0, err
    sent = json.loads(out)["parameters"]
    assert (sent["trigger"], sent["trigger_reason"], sent["announced"]) == (
        "drift",
        "warning data drift",
        row,
    )
    assert run(*SUBMIT, "--endpoint", kubeflow.address)[0] == 0
    assert kubeflow.runs[-1]["runtime_config"]["parameters"]["trigger"] == "manual"
    assert run(*SUBMIT, "--announced", "no row", "--endpoint", kubeflow.address)[0] == 2


def test_a_person_reads_where_the_run_is_and_each_state(run: Run, kubeflow: FakeKubeflow) -> None:
    """The link comes before the wait."""
    code, out, err = run(
        *SUBMIT, "--endpoint", kubeflow.address, "--experiment", "nightly", "--wait", "--wait-seconds", "30"
    )
    assert code == 0
    told = out + err
    assert told.index("Submitted as r0") < told.index("RUNNING") < told.index("Run r0 is SUCCEEDED")
    assert kubeflow.experiments[0]["display_name"] == "nightly"


def test_without_wait_the_run_goes_on_by_itself(
    run: Run, kubeflow: FakeKubeflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is a setting, and nothing is asked about the run."""
    monkeypatch.setenv("PIPELINES_ENDPOINT", kubeflow.address)
    code, out, _ = run(*SUBMIT, "--json")
    assert (code, json.loads(out)["state"]) == (0, "PENDING")
    assert kubeflow.asked[-1] == ("POST", "/pipeline/apis/v2beta1/runs")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_failed_run_is_exit_1_with_its_task_and_link(
    run: Run, kubeflow: FakeKubeflow, as_json: bool
) -> None:
    """As a problem document for a script, and as sentences for a person."""
    kubeflow.states = ["RUNNING", "FAILED"]
    code, out, err = run(*SUBMIT, "--endpoint", kubeflow.address, "--wait", *(["--json"] if as_json else []))
    assert code == 1
    assert len(kubeflow.runs) == 1
    if as_json:
        problem = json.loads(out)
        assert problem["code"] == "remote_run_failed"
        assert "ended as FAILED" in problem["detail"]
        assert "/#/runs/details/r0" in problem["next_step"]
    else:
        assert "Run r0 ended as FAILED" in err
        assert f"{kubeflow.address}/#/runs/details/r0" in err


def test_a_run_that_takes_longer_than_the_wait_is_exit_1(run: Run, kubeflow: FakeKubeflow) -> None:
    """It is told that it goes on."""
    kubeflow.states = ["RUNNING"]
    code, _, err = run(*SUBMIT, "--endpoint", kubeflow.address, "--wait", "--wait-seconds", "0")
    assert code == 1
    assert "is RUNNING after 0 seconds" in err
    assert "It goes on by itself" in err


@pytest.mark.parametrize("arguments", [SUBMIT, SCHEDULE])
@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_accepted_is_exit_1_and_never_shown(
    run: Run, kubeflow: FakeKubeflow, token_file: Path, status: int, arguments: tuple[str, ...]
) -> None:
    """The setting to change is named; what the file holds is not."""
    kubeflow.status = status
    code, out, err = run(*arguments, "--endpoint", kubeflow.address)
    assert (code, out) == (1, "")
    assert f"does not accept the token (HTTP {status})" in err
    assert "PIPELINES_TOKEN" in err
    assert token_file.read_text().strip() not in err
    assert kubeflow.runs == kubeflow.schedules == []


@pytest.mark.parametrize("as_json", [True, False])
def test_a_token_from_a_file_is_sent_and_never_shown(
    run: Run, kubeflow: FakeKubeflow, token_file: Path, as_json: bool
) -> None:
    """The line break of the file is no part of it, and it travels in no body either."""
    kubeflow.token = token_file.read_text().strip()
    code, out, err = run(*SUBMIT, "--endpoint", kubeflow.address, "--wait", *(["--json"] if as_json else []))
    assert code == 0, err
    assert SECRET not in out + err + json.dumps(kubeflow.runs)


def test_a_token_file_that_is_not_there_is_wrong_usage(
    run: Run, kubeflow: FakeKubeflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is sent without it."""
    monkeypatch.setenv("PIPELINES_TOKEN_FILE", str(tmp_path / "absent"))
    code, _, err = run(*SUBMIT, "--endpoint", kubeflow.address)
    assert code == 2
    assert "PIPELINES_TOKEN_FILE" in err
    assert kubeflow.asked == []


@pytest.mark.parametrize("arguments", [SUBMIT, SCHEDULE])
def test_nobody_at_the_endpoint_is_exit_1_with_the_address(run: Run, arguments: tuple[str, ...]) -> None:
    """The connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    code, out, err = run(*arguments, "--endpoint", address, "--json")
    assert (code, err) == (1, "")
    problem = json.loads(out)
    assert problem["code"] == "endpoint_unreachable"
    assert address in problem["detail"]
    assert "PIPELINES_ENDPOINT" in problem["next_step"]


@pytest.mark.parametrize("arguments", [SUBMIT, SCHEDULE])
def test_no_endpoint_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """Exit 2, with the setting and the option that give one."""
    code, _, err = run(*arguments)
    assert code == 2
    assert "No address is set" in err
    assert "--endpoint" in err


def test_an_unknown_workload_is_wrong_usage_and_nothing_is_sent(run: Run, kubeflow: FakeKubeflow) -> None:
    """Exit 2, with the names."""
    code, _, err = run("submit", "--workload", "roses", "--endpoint", kubeflow.address)
    assert code == 2
    assert "iris" in err
    assert kubeflow.asked == []


def test_a_schedule_is_made_and_told_as_json(run: Run, kubeflow: FakeKubeflow) -> None:
    """With its times and the parameters of each run."""
    code, out, err = run(*SCHEDULE, "--endpoint", kubeflow.address, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["id"], told["cron"]) == ("s0", "0 0 3 * * *")
    sent = kubeflow.schedules[0]
    assert sent["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert sent["runtime_config"]["parameters"] == told["parameters"]


@pytest.mark.parametrize("cron", ["0 3 * * *", "0 0 3 * * * 2027", "nightly", ""])
def test_a_schedule_of_other_than_six_fields_is_wrong_usage(
    run: Run, kubeflow: FakeKubeflow, cron: str
) -> None:
    """Exit 2 with a sentence, before anything is compiled or sent."""
    code, out, err = run("schedule", "--cron", cron, "--endpoint", kubeflow.address)
    assert (code, out) == (2, "")
    assert f"A schedule has six fields, and {cron!r} has {len(cron.split())}." in err
    assert "Seconds come first" in err
    assert kubeflow.asked == []


def test_a_schedule_that_the_server_refuses_is_exit_1_with_its_reason(
    run: Run, kubeflow: FakeKubeflow
) -> None:
    """Six fields that make no time."""
    kubeflow.status, kubeflow.body = 400, b'{"error_message": "Invalid cron: hour 99"}'
    code, _, err = run("schedule", "--cron", "0 0 99 * * *", "--endpoint", kubeflow.address)
    assert code == 1
    assert "hour 99" in err
