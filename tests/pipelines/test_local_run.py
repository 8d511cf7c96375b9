"""The pipeline on this machine, whole: real Ray, MLflow, ONNX and records, in real processes.

One run ends well; the others begin from its outputs, so that each costs only the steps that it is about.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contracts.environments import Environment
from kit import bundle
from kit.files import locked
from kit.home import Home
from pipelines.journal import Follower, Kind
from pipelines.task import RUNS
from records.model_registry import TRACKING_URI
from records.model_versions import Standing
from tests.pipelines.conftest import COMMAND, Asked, Finished, environment, sluice
from training import registry
from training.registry import Registry

pytestmark = [
    pytest.mark.xdist_group("pipelines"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

AGAIN = ("pipeline", "run", "--workload", "iris", "--trials", "2")


@pytest.fixture(scope="module")
def tracking(finished: Finished) -> Iterator[Registry]:
    """The registry of the home in which the run ended."""
    former = os.environ.pop(TRACKING_URI, None)
    yield registry.opened(Home(finished.home))
    if former is not None:
        os.environ[TRACKING_URI] = former


def test_a_run_ends_with_a_certified_registered_version_in_staging(
    finished: Finished, tracking: Registry, tmp_path: Path
) -> None:
    """The bundle in the registry is whole, its graph is the forest, and the alias points at it."""
    version = tracking.version("iris", str(finished.summary["version"]))
    assert version.standing is Standing.ELIGIBLE
    assert version.aliases == ("staging",)
    assert len(version.reasons) >= 7
    fetched = bundle.load(tracking.download("iris", version.version, tmp_path), digest=version.bundle_digest)
    assert fetched.parity.max_probability_difference <= fetched.parity.tolerance
    assert fetched.parity.rows == 150
    assert b"TreeEnsembleClassifier" in fetched.model.read_bytes()
    assert fetched.contract.lineage.run_ids["pipeline"] == finished.summary["run"]


def test_every_trial_is_a_nested_run(finished: Finished, tracking: Registry) -> None:
    """With its parameters and its value."""
    trials = tracking.trials(tracking.versions("iris")[-1].run_id)
    assert len(trials) == 2
    assert all("n_estimators" in trial["parameters"] for trial in trials)
    assert all(0 < trial["metrics"]["f1"] <= 1 for trial in trials if trial["state"] == "FINISHED")


def test_the_run_stands_in_the_records_with_figures_and_version(finished: Finished, asked: Asked) -> None:
    """What `sluice pipeline list` shows is what the run said."""
    first = asked(finished.home, "pipeline", "list", "--json")[-1]
    assert (first["run"], first["status"]) == (finished.summary["run"], "accepted")
    assert first["version"] == finished.summary["version"]
    assert first["figures"]["f1"] == finished.summary["figures"]["f1"]
    assert first["data"]
    assert first["seconds"] > 0


def test_the_summary_leads_to_bundle_report_and_logs(finished: Finished) -> None:
    """Every link that is a path is there; each step left a log."""
    links = finished.summary["links"]
    for name in ("folder", "logs", "bundle", "report"):
        assert Path(links[name]).is_dir(), name
    assert {path.stem for path in Path(links["logs"]).glob("*.log")} >= {"runner", "search", "gate", "stage"}
    assert "## Gate: accepted" in (Path(links["report"]) / "model-card.md").read_text("utf-8")


def test_the_commands_of_the_model_tell_the_same(finished: Finished, asked: Asked) -> None:
    """List, show and diff, on what the run registered."""
    home, of = finished.home, ("--workload", "iris", "--json")
    assert asked(home, "model", "list", *of)[-1]["standing"] == "eligible"
    told = asked(home, "model", "show", "staging", *of)
    assert told["figures"]["mean_f1"] == pytest.approx(finished.summary["figures"]["f1"], abs=1e-4)
    assert told["certificate"]["rows"] == 150
    same = asked(home, "model", "diff", told["version"], "staging", *of)
    assert same["parameters"] == same["data"] == []
    assert all(row["difference"] == 0 for row in same["figures"])
    code, problem = asked(home, "model", "show", "99", *of)
    assert (code, problem["code"]) == (1, "version_missing")
    assert "version 99 of iris" in problem["detail"]


def test_a_refusal_by_the_gate_is_exit_3_with_reasons_and_moves_nothing(
    finished: Finished, tracking: Registry, asked: Asked
) -> None:
    """The version is registered with its reasons; staging stays where it was."""
    before = tracking.pointed("iris", Environment.STAGING)
    answer = sluice(finished.home, *AGAIN, "--from-step", "register", TRAINING_GATE_MAX_ROW_SECONDS="1e-9")
    assert answer.returncode == 3, answer.stderr
    assert "One row takes" in answer.stderr
    assert "search" in answer.stderr
    assert "reused" in answer.stderr
    refused = tracking.versions("iris")[0]
    assert refused.standing is Standing.REFUSED
    assert "One row takes" in refused.reasons[0]
    assert tracking.pointed("iris", Environment.STAGING) == before
    latest = asked(finished.home, "pipeline", "list", "--json")[0]
    assert (latest["status"], latest["version"]) == ("refused", refused.version)
    assert "One row takes" in latest["reasons"][0]


def test_a_registry_that_is_away_stops_the_run_before_anything_starts(finished: Finished) -> None:
    """No run folder, no record: nothing was begun."""
    before = sorted((finished.home / RUNS).iterdir())
    answer = sluice(
        finished.home, *AGAIN, MLFLOW_TRACKING_URI="http://127.0.0.1:9", TRAINING_REGISTRY_TIMEOUT_SECONDS="2"
    )
    assert answer.returncode == 1
    assert "127.0.0.1:9" in answer.stderr
    assert "MLFLOW_TRACKING_URI" in answer.stderr
    assert sorted((finished.home / RUNS).iterdir()) == before


def test_a_second_run_at_the_same_time_is_refused_with_a_sentence(finished: Finished) -> None:
    """The first one holds the lock of the home."""
    with locked(finished.home / RUNS / ".lock", what="A test"):
        answer = sluice(finished.home, *AGAIN)
    assert answer.returncode == 1
    assert "is under way in another process" in answer.stderr


def test_going_on_where_nothing_was_done_says_so(finished: Finished) -> None:
    """Other parameters have no former outputs, and are not given those of others."""
    answer = sluice(
        finished.home, "pipeline", "run", "--workload", "iris", "--trials", "3", "--from-step", "fit"
    )
    assert answer.returncode == 1
    assert "search: No former run of step search was on this data with these parameters" in answer.stderr
    assert "--from-step search" in answer.stderr


def test_an_unknown_workload_or_step_is_wrong_usage(tmp_path: Path) -> None:
    """Exit 2, with what there is to choose from."""
    step = sluice(tmp_path, "pipeline", "run", "--from-step", "gatte")
    workload = sluice(tmp_path, "pipeline", "run", "--workload", "roses")
    assert (step.returncode, workload.returncode) == (2, 2)
    assert "evaluate" in step.stderr
    assert "iris" in workload.stderr
    assert not (tmp_path / RUNS).exists()


def test_ctrl_c_stops_everything_and_the_run_is_closed(finished: Finished, asked: Asked) -> None:
    """SIGINT to the real command while Ray searches: no process of the run is left, and no version made."""
    versions = len(registry.opened(Home(finished.home)).versions("iris"))
    command = subprocess.Popen(
        (*COMMAND, "pipeline", "run", "--workload", "iris", "--trials", "50", "--seed", "5"),
        env=environment(finished.home),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        family = _family_at_search(command, finished.home)
        command.send_signal(signal.SIGINT)
        _, told = command.communicate(timeout=400)
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
    assert command.returncode == 1
    assert b"nothing of it is left running" in told
    assert b"--from-step search" in told
    left = [
        process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]
    assert left == []
    assert asked(finished.home, "pipeline", "list", "--json")[0]["status"] == "failed"
    assert asked(finished.home, "pipeline", "list", "--json")[0]["reasons"] == ["Stopped in step search."]
    assert len(registry.opened(Home(finished.home)).versions("iris")) == versions


def _family_at_search(command: "subprocess.Popen[bytes]", home: Path) -> list[psutil.Process]:
    """Waits until a trial has ended, and returns every process below the command."""
    for _ in range(1800):
        latest = max((home / RUNS).glob("2*"))
        if any(event.step == "search" and event.kind is Kind.TOLD for event in Follower(latest).new()):
            family: list[psutil.Process] = psutil.Process(command.pid).children(recursive=True)
            assert any("raylet" in process.name() for process in family if process.is_running())
            return family
        assert command.poll() is None
        time.sleep(0.1)
    raise AssertionError(f"No trial ended; see {home / RUNS}")
