"""Ingests that die, for test_ingest.py: a program, because a process can die only once.

Usage: python -m tests.feature_repo.dying_ingests FOLDER. Each scenario runs in a forked child, in the home
`FOLDER/NAME`, whose records lie in `records.db`. Prints how each child ended, as JSON.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from feature_repo.ingest import ingest
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import SenderStore, open_store
from kit.home import Home
from tests.feature_repo.dying_pushes import dying_online

PAGE = 2
NOW = datetime.fromisoformat("2026-03-09T12:00:00+00:00")


def dies_at(page: int) -> Callable[[int], None]:
    """Returns a listener that dies when the given page is in the log and its place is not kept."""
    left = page

    def heard(_rows: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return heard


def before_the_first_place(store: SenderStore) -> None:
    """Dies when the first page is in the log, and nothing tells how far that is."""
    ingest(store, now=NOW, page=PAGE, progress=dies_at(1))


def between_pages(store: SenderStore) -> None:
    """Dies when one place is kept, and another page is in the log."""
    ingest(store, now=NOW, page=PAGE, progress=dies_at(2))


def among_labels(store: SenderStore) -> None:
    """Dies when all messages are in the log, and a page of labels is, without its place."""
    ingest(store, now=NOW, page=PAGE, progress=dies_at(4))


def before_online(store: SenderStore) -> None:
    """Dies when everything is in the log, every place is kept, and nothing is online."""
    ingest(dying_online(store, 1), now=NOW, page=PAGE)


SCENARIOS: dict[str, Callable[[SenderStore], None]] = {
    "before_the_first_place": before_the_first_place,
    "between_pages": between_pages,
    "among_labels": among_labels,
    "before_online": before_online,
}


def main(folder: Path) -> None:
    """Runs the scenarios and prints how they ended."""
    children = {name: _forked(name, folder / name) for name in SCENARIOS}
    statuses = {name: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for name, child in children.items()}
    sys.stdout.write(json.dumps(statuses))


def _forked(name: str, home: Path) -> int:
    child = os.fork()
    if child == 0:
        os.environ["SLUICE_HOME"] = str(home)
        SCENARIOS[name](open_store(Home(home), FeatureRepoSettings.load()))
        os._exit(0)
    return child


if __name__ == "__main__":
    main(Path(sys.argv[1]))
