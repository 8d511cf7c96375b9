"""The Ray that a local run lends to its tasks: when it starts, who finds it, that nobody waits in vain."""

import json
import os
import stat
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipelines.journal import Event, Journal, Kind
from pipelines.one_ray import borrowed, lending
from tests.pipelines.conftest import Finished

ADDRESS = "RAY_ADDRESS"


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)


def told(folder: Path) -> object:
    """Returns what stands in the file by which tasks find the Ray."""
    return json.loads((folder / "ray.json").read_text("utf-8"))


def lend(folder: Path) -> AbstractContextManager[None]:
    """Returns the block of a run in `folder`, as the local runner opens it."""
    return lending(folder, log=folder / "ray.log", after="validate", until="fit")


@pytest.mark.xdist_group("pipelines")
def test_search_and_fit_of_a_run_shared_one(finished: Finished) -> None:
    """It spoke in one log; its token was for the owner's eyes, and is gone with it."""
    folder = Path(finished.summary["links"]["folder"])
    assert (folder / "logs" / "ray.log").stat().st_size
    assert told(folder) == "none"
    assert stat.S_IMODE((folder / "ray.json").stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_data_that_are_refused_start_none(tmp_path: Path) -> None:
    """Nothing is started before the sign, and a run that ends before it is not held up."""
    with lend(tmp_path):
        Journal(tmp_path).write(Event(step="validate", kind=Kind.FAILED))
        assert told(tmp_path) == "starting"
    assert told(tmp_path) == "none"
    assert not (tmp_path / "ray.log").exists()


def test_a_named_cluster_is_used_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither lent nor borrowed."""
    monkeypatch.setenv(ADDRESS, "127.0.0.1:1")
    with lend(tmp_path):
        assert not (tmp_path / "ray.json").exists()
    (tmp_path / "ray.json").write_text('{"RAY_ADDRESS": "127.0.0.1:2"}')
    with borrowed(tmp_path):
        assert os.environ[ADDRESS] == "127.0.0.1:1"


def test_a_task_waits_for_what_is_starting(tmp_path: Path) -> None:
    """It goes on when the address is there, with it, and leaves nothing behind."""
    (tmp_path / "ray.json").write_text('"starting"')
    found = threading.Event()

    def task() -> None:
        with borrowed(tmp_path):
            assert os.environ[ADDRESS] == "127.0.0.1:2"
            found.set()

    waiting = threading.Thread(target=task)
    waiting.start()
    assert not found.is_set()
    part = tmp_path / "part"
    part.write_text('{"RAY_ADDRESS": "127.0.0.1:2"}')
    part.rename(tmp_path / "ray.json")
    waiting.join()
    assert found.is_set()
    assert ADDRESS not in os.environ


@pytest.mark.parametrize("state", [None, '"none"'])
def test_a_task_without_a_lender_sees_to_itself(tmp_path: Path, state: str | None) -> None:
    """No file: nobody lends. None: it did not start, or is over."""
    if state is not None:
        (tmp_path / "ray.json").write_text(state)
    with borrowed(tmp_path):
        assert ADDRESS not in os.environ
    with borrowed(None):
        assert ADDRESS not in os.environ
