"""The runs of a machine in the records: begun once, ended once, and never left open."""

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from kit.home import Home
from pipelines.local_closing import close_abandoned
from pipelines.run import REQUEST, SUMMARY
from pipelines.runs import recent_runs
from pipelines.task import RUNS
from records.engine import opened
from records.model_registry import TRACKING_URI
from records.model_versions import RunState
from records.repositories import runs
from records.tables.experiment_runs import RunStatus, Trigger
from training import registry, run_records

pytestmark = [
    pytest.mark.xdist_group("mlflow"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


@pytest.fixture
def home(tmp_path: Path, empty_registry: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own, with records in SQLite."""
    shutil.copy(empty_registry, tmp_path)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    for name in ("RECORDS_URL", TRACKING_URI):
        monkeypatch.delenv(name, raising=False)
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


def announced(workload: str) -> UUID:
    """Returns the row of a run that a machine wrote before it started it."""

    async def write() -> UUID:
        async with opened() as records, records.transaction() as session:
            new = runs.NewRun(
                workload=workload,
                trigger=Trigger.DRIFT,
                trigger_reason="an alert",
                parameters={"start": {"attempts": 1}},
                started_at=datetime.now(UTC),
            )
            return (await runs.begin(session, new)).id

    return asyncio.run(write())


def test_a_run_that_was_announced_takes_over_its_row(home: Home) -> None:
    """There is one row of it, which keeps its why and how it was started."""
    begun(home, "r1")
    row = announced("any")
    for _ in range(2):
        run_records.begin("r2", "any", {"trials": 3}, trigger=Trigger.DRIFT, announced=row)
    latest, first = recent_runs()
    assert (latest["run"], latest["trigger_reason"], first["run"]) == ("r2", "an alert", "r1")
    assert latest["parameters"] == {"start": {"attempts": 1}, "trials": 3}
    run_records.finish("r2", "any", run_records.Outcome(status=RunStatus.REFUSED, reasons=["No."]))
    assert [each["status"] for each in recent_runs()] == ["refused", "running"]


def test_a_row_that_is_none_to_take_over_is_left_alone(home: Home) -> None:
    """Of another workload, of a run that has ended, or of none: the run gets a row of its own."""
    begun(home, "r1")
    other, over = announced("other"), announced("any")
    run_records.begin("r2", "any", {}, announced=over)
    run_records.finish("r2", "any", run_records.Outcome(status=RunStatus.FAILED))
    for number, row in enumerate((other, over, uuid4())):
        run_records.begin(f"again-{number}", "any", {}, announced=row)
    known = {each["run"]: each["status"] for each in recent_runs(workload="any")}
    assert known == {
        "r1": "running", "r2": "failed", "again-0": "running", "again-1": "running", "again-2": "running",
    }  # fmt: skip
    assert recent_runs(workload="other")[0]["run"] == str(other)


def test_a_run_whose_command_was_killed_is_closed_by_the_next_one(home: Home) -> None:
    """In the records and in MLflow; what has ended by itself is left as it is, and nothing is made up."""
    tracking = registry.opened(home)
    ids = {run: tracking.begin_run("any", run, run=run) for run in ("r1", "r2")}
    killed, ended = begun(home, "r1"), begun(home, "r2")
    begun(home, "r3")
    run_records.finish("r2", "any", run_records.Outcome(status=RunStatus.ACCEPTED))
    (ended / SUMMARY).write_text("{}")
    tracking.end_run(ids["r2"], RunState.FINISHED)
    close_abandoned(home, tracking)
    by_run = {each["run"]: each for each in recent_runs(workload="any")}
    assert (by_run["r1"]["status"], by_run["r1"]["reasons"]) == ("failed", ["The command was killed."])
    assert by_run["r2"]["status"] == "accepted"
    assert json.loads((killed / SUMMARY).read_text())["status"] == "failed"
    assert (ended / SUMMARY).read_text() == "{}"
    assert tracking.run_state(ids["r1"]) == RunState.FAILED
    assert tracking.run_tags(ids["r1"])["outcome"] == "failed"
    assert tracking.run_state(ids["r2"]) == RunState.FINISHED
    assert tracking.find_run("any", "r3") is None
    assert tracking.find_run("nothing was ever tracked here", "r1") is None
