"""How a run ends: in the records and in MLflow, with the sentence of the step that failed.

MLflow is a real one on SQLite, and the records are SQLite as well.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from contracts.environments import Environment
from kit.errors import OperationalError, Refused, SluiceError
from kit.home import Home
from pipelines import closing
from pipelines.closing import NotClosed
from pipelines.journal import Event, Failure, Kind
from pipelines.local_closing import close_abandoned
from pipelines.local_run import run_pipeline
from pipelines.request import Request
from pipelines.run import Run, StepFailed, Stopped
from pipelines.runs import recent_runs
from pipelines.task import perform
from records.model_registry import TRACKING_URI
from records.model_versions import RegistryUnavailable
from training import registry, run_records
from training.steps.step import Context, Figures, Step

pytestmark = [
    pytest.mark.xdist_group("mlflow"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

NOBODY = "http://127.0.0.1:9"
ASKED = Request(workload="iris", trials=1, seed=0, workers=1)
DOWN = OperationalError("The store is down.", next_step="Start it.")


class First(Step):
    """The first step of a run on a cluster, which fails as it is told to."""

    name: ClassVar[str] = "load"
    reusable: ClassVar[bool] = False

    refused: bool = False

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:  # noqa: ARG002
        """Writes nothing."""
        if self.refused:
            raise Refused("Not fit to train on.", reasons=["Too few rows.", "One class only."])
        raise DOWN


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Path:
    """One home for all tests here, because its databases take a while to make; each test has a run."""
    folder = tmp_path_factory.mktemp("closing")
    shutil.copy(empty_registry, folder)
    return folder


@pytest.fixture
def home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home that this process works in."""
    for name in (TRACKING_URI, "RECORDS_URL", "PIPELINES_RUN_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLUICE_HOME", str(place))
    return Home(place)


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The id of the run that this process has a task of."""
    name: str = request.node.name
    assert home.root.is_dir()
    monkeypatch.setenv("PIPELINES_RUN_ID", name)
    return name


def row(run: str) -> dict[str, Any]:
    """Returns the run as `sluice pipeline list` shows it."""
    (found,) = (each for each in recent_runs(limit=1000) if each["run"] == run)
    return found


def tracked(home: Home, run: str, workload: str = "any") -> tuple[str, dict[str, str]]:
    """Returns the state of the run in MLflow, and its tags."""
    tracking = registry.opened(home)
    run_id = tracking.find_run(workload, run)
    assert run_id is not None
    return tracking.run_state(run_id), tracking.run_tags(run_id)


def accepted(home: Home, run: str, folder: Path) -> str:
    """Registers a version of the run that staging points at, and returns it."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(run.encode())
    tracking = registry.opened(home)
    run_id = tracking.begin_run("any", run, run=run)
    tracking.log(run_id, metrics={"mean_f1": 0.97})
    version = tracking.register("any", folder, digest=run, run_id=run_id).version
    tracking.judge("any", version, accepted=True, reasons=["Good."])
    tracking.point("any", Environment.STAGING, version)
    return version


def break_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lets the records answer no more."""
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * 500)
    monkeypatch.setenv("RECORDS_URL", f"sqlite+aiosqlite:///{damaged}")


@contextlib.contextmanager
def refusing_writes(home: Home) -> Iterator[None]:
    """Lets MLflow's database answer questions and write nothing about runs, for the block."""

    def told(script: str) -> None:
        with contextlib.closing(sqlite3.connect(home.root / "mlflow.db")) as database:
            database.executescript(script)

    # A table that is missing is an error at once; MLflow takes RAISE(ABORT) for a conflict of two writers and
    # tries again for twelve seconds.
    told(
        "CREATE TRIGGER no_end BEFORE UPDATE ON runs BEGIN SELECT * FROM nowhere; END;"
        "CREATE TRIGGER no_tag BEFORE INSERT ON tags BEGIN SELECT * FROM nowhere; END;"
    )
    try:
        yield
    finally:
        told("DROP TRIGGER no_end; DROP TRIGGER no_tag;")


def perform_and_fail(step: Step, folder: Path) -> int:
    """Returns the exit code of a task."""
    with pytest.raises(SystemExit) as left:
        perform(step, {}, str(folder))
    return int(left.value.code or 0)


def test_a_run_whose_step_fails_is_closed_as_failed_with_the_sentence(
    home: Home, run: str, tmp_path: Path
) -> None:
    """It was opened by its first task, and is running until it is closed."""
    assert perform_and_fail(First(workload="any"), tmp_path) == 1
    assert row(run)["status"] == "running"
    assert tracked(home, run)[0] == "RUNNING"
    closing.close_run("any")
    assert row(run)["status"] == "failed"
    assert row(run)["reasons"] == ["Temporarily unavailable: The store is down."]
    state, tags = tracked(home, run)
    assert (state, tags["outcome"], tags["runner"]) == ("FAILED", "failed", "cluster")


def test_a_refused_run_is_closed_as_refused_with_its_reasons(home: Home, run: str, tmp_path: Path) -> None:
    """A gate that says no is no failure of the machine."""
    assert perform_and_fail(First(workload="any", refused=True), tmp_path) == 3
    closing.close_run("any")
    assert (row(run)["status"], row(run)["reasons"]) == ("refused", ["Too few rows.", "One class only."])
    assert tracked(home, run)[0] == "FINISHED"


def test_a_run_whose_version_is_in_staging_is_closed_as_accepted(
    home: Home, run: str, tmp_path: Path
) -> None:
    """With version and figures; a failure that a retry made good is not held against it."""
    closing.open_run("any", run)
    closing.note_failure("any", run, Failure(code="x", title="X", message="Once.", exit_code=1))
    version = accepted(home, run, tmp_path / "bundle")
    closing.close_run("any")
    closed = row(run)
    assert (closed["status"], closed["version"], closed["reasons"]) == ("accepted", version, [])
    assert closed["figures"]["mean_f1"] == 0.97
    assert tracked(home, run)[0] == "FINISHED"


def test_a_run_of_which_a_task_was_killed_is_closed_as_failed(home: Home, run: str) -> None:
    """The task left nothing, and the reason says so."""
    closing.open_run("any", run)
    closing.close_run("any")
    assert row(run)["status"] == "failed"
    assert "without a word" in row(run)["reasons"][0]
    assert tracked(home, run)[0] == "FAILED"


def test_a_closed_run_stays_as_it_was_closed(
    home: Home, run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Closing again is no error, though another version is in staging by then."""
    closing.open_run("any", run)
    accepted(home, run, tmp_path / "bundle")
    closing.close_run("any")
    before = row(run)
    accepted(home, f"{run}-later", tmp_path / "later")
    closing.close_run("any")
    assert row(run) == before
    assert tracked(home, run)[1]["outcome"] == "accepted"
    told = capsys.readouterr()
    assert "was closed before: accepted" in told.out + told.err


def test_opening_a_run_again_changes_nothing(run: str) -> None:
    """The first task may be tried again."""
    closing.open_run("any", run)
    closing.open_run("any", run)
    assert row(run)["status"] == "running"


def test_a_run_says_what_started_it(home: Home, run: str) -> None:
    """As it was submitted; who submitted nothing of the kind is a person."""
    closing.open_run("any", run, trigger="drift", trigger_reason="an alert", announced=str(uuid4()))
    assert (row(run)["trigger"], row(run)["trigger_reason"]) == ("drift", "an alert")
    assert tracked(home, run)[1]["trigger"] == "drift"
    closing.open_run("any", f"{run}-by-hand")
    assert row(f"{run}-by-hand")["trigger"] == "manual"


def test_a_step_keeps_its_own_error_when_it_cannot_be_noted(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """MLflow is away by then: exit code and sentence are those of the step, and the log tells both."""

    class Cut(First):
        def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
            monkeypatch.setenv(TRACKING_URI, NOBODY)
            return super().run(inputs, output, context)

    assert perform_and_fail(Cut(workload="any", refused=True), tmp_path) == 3
    told = "".join(capsys.readouterr())
    assert "Not fit to train on." in told
    assert "The failure could not be noted: Nothing answers at 127.0.0.1:9" in told
    assert row(run)["status"] == "running"


def test_what_failed_is_told_first_when_the_records_cannot_be_told(
    home: Home, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow hears of the end all the same, and another try writes it into the records."""
    perform_and_fail(First(workload="any"), tmp_path)
    with monkeypatch.context() as broken:
        break_records(broken, tmp_path)
        with pytest.raises(NotClosed, match=r"failed\. Temporarily unavailable: The store is down\.") as told:
            closing.close_run("any")
    assert "This could not be written down: " in told.value.message
    assert isinstance(told.value.__cause__, SluiceError)
    assert tracked(home, run)[0] == "FAILED"
    assert row(run)["status"] == "running"
    closing.close_run("any")
    assert row(run)["reasons"] == ["Temporarily unavailable: The store is down."]


def test_what_failed_is_told_first_when_mlflow_cannot_be_told(home: Home, run: str, tmp_path: Path) -> None:
    """The records hear of the end all the same, and another try writes it into MLflow."""
    perform_and_fail(First(workload="any"), tmp_path)
    with (
        refusing_writes(home),
        pytest.raises(NotClosed, match=r"The store is down\. This .* down: MLflow failed"),
    ):
        closing.close_run("any")
    assert row(run)["status"] == "failed"
    assert tracked(home, run)[0] == "RUNNING"
    closing.close_run("any")
    assert tracked(home, run)[0] == "FAILED"


def test_mlflow_away_leaves_a_run_open_for_another_try(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow alone knows how a run on a cluster ended, and nothing is guessed."""
    closing.open_run("any", run)
    with monkeypatch.context() as broken:
        broken.setenv(TRACKING_URI, NOBODY)
        with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:9"):
            closing.close_run("any")
    assert row(run)["status"] == "running"


def test_a_run_that_never_began_cannot_be_closed_in_silence(run: str) -> None:
    """Its first task failed before the records heard of it."""
    with pytest.raises(NotClosed, match=f"Run {run} of any is not under way") as told:
        closing.close_run("any")
    assert isinstance(told.value.__cause__, run_records.RunUnknown)


@pytest.mark.parametrize("broken", ["records", "mlflow"])
def test_a_local_run_raises_the_error_of_its_step_when_it_cannot_be_closed(
    home: Home, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing error is in the same message; the other places know, and the records are told later."""
    unlucky = Failure(code="x", title="Out of luck", message="The trees would not grow.", exit_code=1)

    with monkeypatch.context() as cut, contextlib.ExitStack() as stack:

        def steps(run: Run, _on_event: object) -> int:
            run.events.append(Event(step="fit", kind=Kind.FAILED, failure=unlucky))
            if broken == "records":
                break_records(cut, tmp_path)
            else:
                stack.enter_context(refusing_writes(home))
            return 1

        with pytest.raises(StepFailed, match=r"fit: The trees would not grow\. \(Out of luck\)") as told:
            run_pipeline(home, ASKED, lambda _event: None, steps=steps)
    assert "The end of the run could not be written down: " in told.value.message
    latest = recent_runs(workload="iris")[0]
    assert latest["status"] == ("running" if broken == "records" else "failed")
    assert tracked(home, latest["run"], "iris")[0] == ("FAILED" if broken == "records" else "RUNNING")
    close_abandoned(home, registry.opened(home))
    assert tracked(home, latest["run"], "iris")[0] == "FAILED"
    latest = recent_runs(workload="iris")[0]
    assert latest["status"] == "failed"
    assert latest["reasons"] == ["Out of luck: The trees would not grow."]


@pytest.mark.parametrize(
    ("ending", "raised"), [(KeyboardInterrupt(), Stopped), (ValueError("x"), ValueError)]
)
def test_a_local_run_that_was_cut_off_says_so_when_it_cannot_be_closed(
    home: Home,
    ending: BaseException,
    raised: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An interrupt and an error of the command itself stay what is raised; the closing error is noted."""
    with monkeypatch.context() as cut:

        def steps(_run: Run, _on_event: object) -> int:
            break_records(cut, tmp_path)
            raise ending

        with pytest.raises(raised) as told:
            run_pipeline(home, ASKED, lambda _event: None, steps=steps)
    noted = [str(told.value), *getattr(told.value, "__notes__", ())]
    assert "The end of the run could not be written down: " in " ".join(noted)
