"""Runs what dies half-way: a program, because a process can die only once.

Usage: python -m tests.feature_repo.dying. Each line of its input is a JSON list: a folder, and the names of
scenarios. Each runs in the home `FOLDER/NAME`, in forked children, so that Feast is imported once for all of
them. Each line of its output is a JSON document: how the children of each ended, negative for a signal.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import SenderStore, open_store
from kit.home import Home
from tests.feature_repo import dying_ingests, dying_pushes

SCENARIOS = dying_pushes.SCENARIOS | dying_ingests.SCENARIOS


def ended(folder: Path, names: list[str]) -> dict[str, list[int]]:
    """Runs the scenarios, each in the home `folder/NAME`, and returns how the children ended."""
    statuses: dict[str, list[int]] = {}
    for name in names:
        run, processes = SCENARIOS[name]
        children = [_forked(run, folder / name) for _ in range(processes)]
        statuses[name] = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return statuses


def _forked(run: Callable[[SenderStore], None], home: Path) -> int:
    child = os.fork()
    if child == 0:
        os.environ["SLUICE_HOME"] = str(home)
        run(open_store(Home(home), FeatureRepoSettings.load()))
        os._exit(0)
    return child


if __name__ == "__main__":
    for text in sys.stdin:
        folder, *names = json.loads(text)
        sys.stdout.write(json.dumps(ended(Path(folder), names)) + "\n")
        sys.stdout.flush()
