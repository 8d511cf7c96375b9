"""Ingests that die, for test_ingest.py; `dying.py` runs them. Their home holds records in `records.db`."""

import os
import signal
from collections.abc import Callable
from datetime import datetime

from feature_repo.ingest import ingest
from feature_repo.store import SenderStore
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


SCENARIOS: dict[str, tuple[Callable[[SenderStore], None], int]] = {
    "ingest_before_the_first_place": (before_the_first_place, 1),
    "ingest_between_pages": (between_pages, 1),
    "ingest_among_labels": (among_labels, 1),
    "ingest_before_online": (before_online, 1),
}
