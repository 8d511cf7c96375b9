"""The runs of a machine in the records: begun once, ended once, and never left open."""

import json
from pathlib import Path

import pytest

from kit.home import Home
from pipelines.local_run import REQUEST, SUMMARY, close_abandoned
from pipelines.runs import recent_runs
from pipelines.task import RUNS
from records.tables.experiment_runs import RunStatus, Trigger
from training import run_records


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own, with records in SQLite."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.delenv("RECORDS_URL", raising=False)
    return Home(tmp_path)


def begun(home: Home, run: str) -> Path:
    """Begins a run as the command does, and returns its folder."""
    run_records.begin(run, "any", {"trials": 3}, trigger=Trigger.DRIFT, trigger_reason="PSI of 0.4")
    folder = home.root / RUNS / run
    folder.mkdir(parents=True)
    (folder / REQUEST).write_text(json.dumps({"workload": "any"}))
    return folder


def test_a_run_is_begun_and_ended_once(home: Home) -> None:
    """Beginning again changes nothing, and ending again is an error."""
    begun(home, "r1")
    run_records.begin("r1", "any", {"trials": 3})
    run_records.finish("r1", "any", run_records.Outcome(status=RunStatus.ACCEPTED, figures={"f1": 0.98}))
    with pytest.raises(run_records.RunUnknown):
        run_records.finish("r1", "any", run_records.Outcome(status=RunStatus.FAILED))
    (only,) = recent_runs()
    assert (only["run"], only["status"], only["figures"]) == ("r1", "accepted", {"f1": 0.98})
    assert (only["trigger"], only["trigger_reason"]) == ("drift", "PSI of 0.4")
    assert only["parameters"] == {"trials": 3}


def test_a_run_whose_command_was_killed_is_closed_by_the_next_one(home: Home) -> None:
    """What has ended by itself is left as it is."""
    killed, ended = begun(home, "r1"), begun(home, "r2")
    run_records.finish("r2", "any", run_records.Outcome(status=RunStatus.ACCEPTED))
    (ended / SUMMARY).write_text("{}")
    close_abandoned(home)
    by_run = {each["run"]: each for each in recent_runs(workload="any")}
    assert (by_run["r1"]["status"], by_run["r1"]["reasons"]) == ("failed", ["The command was killed."])
    assert by_run["r2"]["status"] == "accepted"
    assert json.loads((killed / SUMMARY).read_text())["status"] == "failed"
    assert (ended / SUMMARY).read_text() == "{}"
