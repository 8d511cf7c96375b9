"""A search, and a fit, in a process of its own, which is killed or interrupted in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from kit.owned_folders import OWNER
from kit.ray.session import FOLDER, PLACE
from tests.kit.ray_head import authenticate
from tests.training.small_workload import BoostedEstimator, CentroidEstimator, dataset, split, workload
from training.fit import FitPlan, fit
from training.search import search
from training.search_journal import JOURNAL
from training.settings import TrainingSettings
from training.trials import SearchPlan, TrialStatus

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("no_ray_session")]

WAIT_SECONDS = 400
ROOT = Path(__file__).parents[2]
SETTINGS = TrainingSettings(ray_cpus=2, search_stopping=False)


def run_search(folder: Path, trials: int, *, resume: bool) -> list[str]:
    """Searches and returns the status of each trial."""
    result = search(
        workload(CentroidEstimator(folder / "marks", "slow")),
        dataset(),
        split(1),
        SearchPlan(trials=trials, seed=1, resume=resume),
        storage=folder / "storage",
        settings=SETTINGS,
    )
    return [trial.status for trial in result.trials]


def run_fit(folder: Path) -> None:
    """Fits with an estimator that takes its time."""
    made = workload(BoostedEstimator(folder / "marks", "sleeps"))
    plan = FitPlan(made.defaults, seed=1)
    fit(made, dataset(), split(1), plan, storage=folder / "storage", settings=SETTINGS)


def under_way(folder: Path, what: str) -> bool:
    """Tells whether two trials are in the journal, or a worker of Ray Train fits."""
    if what == "fit":
        return any((folder / "marks").glob("fit-*"))
    journal = folder / "storage" / JOURNAL
    return journal.exists() and journal.read_text().count("\n") >= 3


def started(folder: Path, what: str) -> "subprocess.Popen[bytes]":
    """Starts a search of many slow trials, or a fit, and waits until it is in the middle."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.test_search_kill", str(folder), what],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
    )
    until = time.monotonic() + WAIT_SECONDS
    while not under_way(folder, what):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return process


def ray_processes_of(folder: Path) -> list[int]:
    """Returns the processes that hold the marks folder of this search in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"SEARCH_OF_TEST={folder}".encode() in environment:
            found.append(int(entry.name))
    return found


def owner_of(folder: Path) -> int | None:
    """Returns the process that a folder of a private Ray belongs to."""
    told = folder / OWNER
    return int(told.read_text().split()[0]) if told.exists() else None


def wait_until_gone(folder: Path) -> list[int]:
    """Returns the processes of this search that are still there after a while."""
    until = time.monotonic() + WAIT_SECONDS
    while (left := ray_processes_of(folder)) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def test_a_killed_search_goes_on_without_losing_a_finished_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL in the middle: finished trials stay, are not run again, and no process of Ray is left."""
    monkeypatch.setenv("SEARCH_OF_TEST", str(tmp_path))
    process = started(tmp_path, "search")
    (left,) = [path for path in Path(PLACE).glob(f"{FOLDER}*") if owner_of(path) == process.pid]
    process.kill()
    process.communicate()
    monkeypatch.delenv("SEARCH_OF_TEST")
    assert wait_until_gone(tmp_path) == []
    authenticate(monkeypatch)
    kept = [json.loads(line) for line in (tmp_path / "storage" / JOURNAL).read_text().splitlines()[1:]]
    assert len(kept) >= 2
    total = len(kept) + 2
    assert run_search(tmp_path, total, resume=True) == [TrialStatus.FINISHED] * total
    fits = Counter(path.name.split("-")[1] for path in (tmp_path / "marks").glob("fit-*"))
    for trial in kept:
        assert fits[repr(trial["parameters"]["learning_rate"])] == 1
    lines = [json.loads(line) for line in (tmp_path / "storage" / JOURNAL).read_text().splitlines()[1:]]
    assert lines[: len(kept)] == kept
    assert len({line["parameters"]["learning_rate"] for line in lines}) == total
    assert not left.exists()


@pytest.mark.parametrize("what", ["search", "fit"])
def test_ctrl_c_ends_it_and_stops_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """SIGINT is an interrupt, and not the end of a search or a fit; nothing that it started goes on."""
    monkeypatch.setenv("SEARCH_OF_TEST", str(tmp_path))
    process = started(tmp_path, what)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_SECONDS)
    monkeypatch.delenv("SEARCH_OF_TEST")
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors
    assert wait_until_gone(tmp_path) == []


if __name__ == "__main__":
    if sys.argv[2] == "fit":
        run_fit(Path(sys.argv[1]))
    else:
        run_search(Path(sys.argv[1]), 200, resume=False)
