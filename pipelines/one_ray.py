"""One private Ray for the search and the fit of a local run; it starts while the features are made.

A start takes seven seconds, and an end three. The process of the local runner lends its Ray from the moment
the data are valid to the end of the fit; the tasks that need one find it by a file in the folder of the run.
With RAY_ADDRESS nothing is lent: that cluster is used.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kit.files import write_text
from kit.ray.session import ADDRESS, RayUnavailable, environment, joining, opened
from kit.terminal import say
from pipelines.journal import Follower, Kind
from training.settings import TrainingSettings

_FILE: Final = "ray.json"
_OWNER_ONLY: Final = 0o600
"""The file holds the token of the Ray."""
_STARTING: Final = "starting"
_NONE: Final = "none"
_POLL_SECONDS: Final = 0.1
_WAIT_SECONDS: Final = 120.0


@contextlib.contextmanager
def lending(folder: Path, *, log: Path, after: str, until: str) -> Iterator[None]:
    """Lends a private Ray to the tasks of the run in `folder`, between the ends of two of its steps.

    Args:
        folder: Of the run, with its events.
        log: File for what Ray says; after an error in the block, the logs of its processes lie beside it.
        after: The step whose end is the sign to start.
        until: The step after which nobody needs it.
    """
    if os.environ.get(ADDRESS):
        yield
        return
    _tell(folder, _STARTING)
    over, failed = threading.Event(), threading.Event()
    lender = threading.Thread(target=_lend, args=(folder, log, after, until, over, failed), name="ray")
    lender.start()
    try:
        yield
    except BaseException:
        failed.set()
        raise
    finally:
        over.set()
        lender.join()


@contextlib.contextmanager
def borrowed(folder: Path | None) -> Iterator[None]:
    """Runs the block on the Ray that is lent to the run in `folder`; without one it sees to its own.

    Waits while that Ray starts, for two minutes at most.
    """
    with environment({} if folder is None or os.environ.get(ADDRESS) else _lent(folder)):
        yield


class _RunFailed(Exception):
    """Tells `opened` that its block failed, so that it keeps the logs."""


def _lend(
    folder: Path, log: Path, after: str, until: str, over: threading.Event, failed: threading.Event
) -> None:
    follower = Follower(folder)
    try:
        if _ended(follower, after, over):
            with contextlib.suppress(_RunFailed), opened(TrainingSettings.load(), log=log):
                _tell(folder, joining())
                _ended(follower, until, over)
                _tell(folder, _NONE)
                if failed.is_set():
                    raise _RunFailed
    except RayUnavailable as error:
        # The task that needs one tries for itself, and fails if there is none for it either.
        say(f"No Ray is lent to this run: {error.message} {error.next_step}")
    finally:
        _tell(folder, _NONE)


def _ended(follower: Follower, step: str, over: threading.Event) -> bool:
    """Waits for the good end of `step`, and returns False if the run is over before."""
    while not over.wait(_POLL_SECONDS):
        if any(event.step == step and event.kind in {Kind.DONE, Kind.REUSED} for event in follower.new()):
            return True
    return False


def _tell(folder: Path, state: str | dict[str, str]) -> None:
    write_text(folder / _FILE, json.dumps(state), mode=_OWNER_ONLY)


def _lent(folder: Path) -> dict[str, str]:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            told = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if isinstance(told, dict):
            return told
        if told == _NONE:
            return {}
        time.sleep(_POLL_SECONDS)
    return {}
