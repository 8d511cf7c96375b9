"""The same code on a cluster of two nodes, reached by RAY_ADDRESS and by the Jobs API."""

import functools
import json
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import typer
from pydantic import SecretStr
from sklearn.metrics import log_loss, roc_auc_score
from typer.testing import CliRunner

from kit.errors import ExitCode, UsageError
from kit.ray.jobs import (
    JobFailed,
    JobRequest,
    JobsAddressWrong,
    JobsEndpoint,
    JobsRefused,
    JobStopped,
    JobsUnreachable,
    run_job,
    stop_job,
)
from kit.ray.remote_command import RayJobs, RayVariables, document_at_the_end, run_on_head, words_of
from kit.ray.session import RayUnavailable, opened
from kit.ray.settings import RayJobsSettings
from tests.kit.ray_head import TOKEN, Head, authenticate, cluster, free_ports
from tests.training.small_workload import BoostedEstimator, dataset, split, workload
from training.settings import TrainingSettings

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("no_ray_session")]

ROOT = Path(__file__).parents[2]
TOLERANCE = 0.01
"""Of AUC and of log loss on the test rows, between one worker and two."""

SEARCH_AND_FIT = """
import pickle
import sys
from pathlib import Path
from kit.ray.session import opened
from tests.training.small_workload import BoostedEstimator, CentroidEstimator, dataset, split, workload
from training.fit import FitPlan, fit
from training.search import search
from training.settings import TrainingSettings
from training.trials import SearchPlan

folder, settings = Path(sys.argv[1]), TrainingSettings.load()
with opened(settings, log=folder / "ray.log"):
    result = search(
        workload(CentroidEstimator(folder / "search")), dataset(), split(1), SearchPlan(trials=2, seed=1),
        storage=folder / "storage", settings=settings,
        on_trial=lambda trial, progress: print("trial", progress.ended, "of", progress.total, flush=True),
    )
    print("value", result.value, flush=True)
    made = workload(BoostedEstimator(folder / "fit"))
    plan = FitPlan(made.defaults, seed=1, workers=2)
    model = fit(made, dataset(), split(1), plan, storage=folder / "storage", settings=settings)
(folder / "model").write_bytes(pickle.dumps(model))
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """Two nodes with one CPU each, with a token."""
    with pytest.MonkeyPatch.context() as patch:
        authenticate(patch)
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        with cluster(2) as found:
            yield found


def jobs_of(head: Head, token: str = TOKEN) -> JobsEndpoint:
    """Returns how the head is reached."""
    return JobsEndpoint(head.jobs, SecretStr(token))


@dataclass(frozen=True)
class Done:
    """What a job left that searched and then fitted; one process for both, as each would import the same."""

    job_id: str
    lines: list[str]
    folder: Path


@pytest.fixture(scope="module")
def done(head: Head, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The command on the head finds the cluster by itself: Ray gives it RAY_ADDRESS."""
    folder = tmp_path_factory.mktemp("job")
    lines: list[str] = []
    command = (sys.executable, "-c", SEARCH_AND_FIT, str(folder))
    request = JobRequest(command, environment={"PYTHONPATH": str(ROOT)})
    report = run_job(jobs_of(head), request, on_line=lines.append)
    return Done(report.job_id, lines, folder)


def test_a_job_runs_the_same_search_and_its_lines_arrive(done: Done) -> None:
    """What it prints is handed over line by line."""
    assert done.job_id
    told = [line for line in done.lines if line.startswith(("trial", "value"))]
    assert told[:2] == ["trial 1 of 2", "trial 2 of 2"]
    assert told[2].startswith("value 0.9")
    assert len(list((done.folder / "search").glob("fit-*"))) == 2


def test_two_workers_on_two_nodes_fit_as_well_as_one(done: Done, tmp_path: Path) -> None:
    """Each node has one CPU, so each holds half of the rows; the quality is that of one worker."""
    made, whole, parts = workload(BoostedEstimator(tmp_path)), dataset(), split(1)
    featuriser, fitted = pickle.loads((done.folder / "model").read_bytes())  # noqa: S301
    assert len(list((done.folder / "fit").glob("fit-*"))) == 2
    test, labels = whole.rows.take(parts.test), whole.rows.labels
    matrix = featuriser.matrix(whole.rows.inputs)
    alone = made.estimator.fit(
        made.defaults,
        matrix[parts.train],
        labels[parts.train],
        validation=(matrix[parts.validation], labels[parts.validation]),
        seed=1,
    )
    by_two, by_one = (
        each.probabilities(matrix[parts.test])[:, 1].astype(np.float64) for each in (fitted, alone)
    )
    assert fitted.rounds == alone.rounds
    assert abs(roc_auc_score(test.labels, by_two) - roc_auc_score(test.labels, by_one)) <= TOLERANCE
    assert abs(log_loss(test.labels, by_two) - log_loss(test.labels, by_one)) <= TOLERANCE
    # A model of one half of the rows alone is another one: the agreement above is not for nothing.
    half = made.estimator.fit(
        made.defaults, matrix[parts.train[::2]], labels[parts.train[::2]], validation=None, seed=1
    )
    by_half = half.probabilities(matrix[parts.test])[:, 1].astype(np.float64)
    assert np.abs(by_two - by_one).mean() < np.abs(by_half - by_one).mean() / 5


def test_a_job_that_fails_is_an_error_with_its_last_lines(head: Head) -> None:
    """Exit code and log are told."""
    request = JobRequest(
        (sys.executable, "-c", "import os; print('so far so good', flush=True); os._exit(3)")
    )
    with pytest.raises(JobFailed, match="exit code 3") as caught:
        run_job(jobs_of(head), request, on_line=lambda _line: None)
    assert caught.value.lines[-1] == "so far so good"


def test_a_job_that_somebody_stops_is_an_error_of_its_own(head: Head) -> None:
    """Stopped is not failed: nothing is broken."""
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(head.jobs, headers={"Authorization": f"Bearer {TOKEN}"})

    def stop(line: str) -> None:
        if line == "running":
            running = [job.submission_id for job in client.list_jobs() if job.status == "RUNNING"]
            threading.Thread(target=stop_job, args=(jobs_of(head), running[0])).start()

    request = JobRequest((sys.executable, "-c", "import time; print('running', flush=True); time.sleep(600)"))
    with pytest.raises(JobStopped):
        run_job(jobs_of(head), request, on_line=stop)


def test_a_caller_who_leaves_stops_the_job(head: Head) -> None:
    """Ctrl-C while following: the cluster is not held by work that nobody waits for."""
    from ray.job_submission import JobSubmissionClient

    def leave(line: str) -> None:
        if line == "running":
            raise KeyboardInterrupt

    request = JobRequest((sys.executable, "-c", "import time; print('running', flush=True); time.sleep(600)"))
    with pytest.raises(KeyboardInterrupt):
        run_job(jobs_of(head), request, on_line=leave)
    client = JobSubmissionClient(head.jobs, headers={"Authorization": f"Bearer {TOKEN}"})
    stopped = threading.Event()
    for _ in range(300):
        if not [job for job in client.list_jobs() if job.status in ("RUNNING", "PENDING")]:
            break
        stopped.wait(0.2)
    else:
        pytest.fail("the job still runs")


def test_a_command_on_the_head_hands_on_its_lines_its_document_and_its_exit_code(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The head's own `sluice` answers, with the variable that was named, and an error is that of the job."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings = RayJobsSettings(token=SecretStr(TOKEN))
    there = functools.partial(run_on_head, variables=["SLUICE_HOME"], as_json=True)
    assert there(["records", "upgrade", "--json"], head.jobs, settings) == ExitCode.DONE
    assert json.loads(capfd.readouterr().out)
    assert (tmp_path / "records.db").exists()
    wrong = ["pipeline", "run", "--workload", "nothing", "--json"]
    assert there(wrong, head.jobs, settings) == ExitCode.USAGE
    told = capfd.readouterr()
    assert "nothing" in json.loads(told.out)["detail"]
    assert '"status": 400' in told.err


def test_a_wrong_token_is_refused_with_what_to_set(head: Head) -> None:
    """The head answers, and does not take it."""
    with pytest.raises(JobsRefused, match="does not accept the token") as caught:
        run_job(jobs_of(head, "another"), JobRequest(("true",)), on_line=print)
    assert caught.value.next_step == "Set RAY_JOBS_TOKEN."


def test_a_cluster_that_is_away_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would try for a minute and then end the process."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with (
        pytest.raises(RayUnavailable, match="No Ray cluster answers"),
        opened(TrainingSettings(), log=tmp_path / "log"),
    ):
        pytest.fail("opened")


def test_a_head_that_is_away_is_told_at_once() -> None:
    """Nothing listens there."""
    nobody = JobsEndpoint(f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(JobsUnreachable, match="Nothing answers"):
        run_job(nobody, JobRequest(("true",)), on_line=print)


@pytest.mark.parametrize("address", ["", "head:8265", "ray://head:10001"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """The Jobs API speaks HTTP."""
    with pytest.raises(JobsAddressWrong):
        run_job(JobsEndpoint(address), JobRequest(("true",)), on_line=print)


def test_a_variable_that_is_not_set_here_cannot_be_handed_on() -> None:
    """The job would run with another value than the one that was meant."""
    with pytest.raises(UsageError, match="NO_SUCH_VARIABLE"):
        run_on_head(
            ["--version"], "http://h", RayJobsSettings(), variables=["NO_SUCH_VARIABLE"], as_json=False
        )


@pytest.mark.parametrize(
    ("lines", "document"),
    [
        (["working", "{", '  "a": [', "    {", "    }", "  ]", "}"], {"a": [{}]}),
        (["{", '  "first": 1', "}", "[]"], []),
        (["{", "a shell's brace", "}"], None),
        ([], None),
    ],
)
def test_the_document_is_what_ends_the_lines(lines: list[str], document: object) -> None:
    """What a job says before its result stays out of it."""
    found = document_at_the_end(lines)
    assert (json.loads("\n".join(found)) if found else None) == document


def test_a_command_is_said_again_with_the_same_parameters() -> None:
    """Options, flags, repeated options and arguments; what belongs to the hand-over is left out."""
    app = typer.Typer()
    told: list[list[str]] = []

    @app.callback()
    def root() -> None:
        """Makes the command below one of a group."""

    @app.command()
    def run(
        context: typer.Context,
        files: list[Path],
        trials: int = 20,
        only: Annotated[list[str], typer.Option("--only")] = [],  # noqa: B006 - typer copies it
        ray_jobs: RayJobs = None,
        ray_variable: RayVariables = [],  # noqa: B006
        as_json: Annotated[bool, typer.Option("--json")] = False,
    ) -> None:
        told.append(words_of(context))

    words = ["run", "--only", "a b", "--only", "-c", "--json", "--", "in", "-out"]
    for given in (words, [*words[:1], "--ray-jobs", "http://h", "--ray-variable", "X", *words[1:]]):
        assert CliRunner().invoke(app, given).exit_code == 0
    assert told == [words, words]
