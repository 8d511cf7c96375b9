"""Pushes that die, and pushes at once, for test_push.py: a program, because a process can die only once.

Usage: python -m tests.feature_repo.dying_pushes FOLDER SCENARIO... Each push runs in a forked child, so that
Feast is imported once. Prints one JSON document: the exit status of each child, negative for a signal.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.labels import Label
from feature_repo import offline_files
from feature_repo.push import push
from feature_repo.refresh import writing
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import SenderStore, open_store
from kit.home import Home
from tests.feature_repo.sender_mail import after, mail, verdict

DAY = 86_400
MESSAGE = mail("killed", "ann@example.org", 0, link=True)
LABEL = verdict("killed", Label.SPAM, 0)
NOW = after(2 * DAY)
PUSHED_AT_ONCE = 8


class Dying:
    """A stand-in that behaves as `real` does until `attribute` is called for the `nth` time."""

    def __init__(self, real: Any, attribute: str, nth: int) -> None:
        self._real = real
        self._attribute = attribute
        self._left = nth

    def __getattr__(self, name: str) -> Any:
        if name != self._attribute:
            return getattr(self._real, name)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._real, name)


class DyingFeast:
    """Feast whose provider dies when it writes online for the `nth` time."""

    def __init__(self, real: Any, nth: int) -> None:
        self.config = real.config
        self.list_feature_services = real.list_feature_services
        self.provider = Dying(real.provider, "online_write_batch", nth)


def dying_online(store: SenderStore, nth: int) -> SenderStore:
    """Returns `store` with an online store at whose `nth` write the process dies."""
    feast: Any = DyingFeast(store.feast, nth)
    return replace(store, feast=feast)


def after_the_log(store: SenderStore) -> None:
    """Dies when the events are in the log, and nothing else is done."""
    with writing(store) as log:
        log.record([MESSAGE], [LABEL])
        os.kill(os.getpid(), signal.SIGKILL)


def between_the_files(store: SenderStore) -> None:
    """Dies when one of the two history files is written."""
    with writing(store) as log:
        log.record([MESSAGE], [LABEL])
        side = offline_files.SIDES[0]
        offline_files.write(store.home, side, offline_files.computed(log.events(), side))
        os.kill(os.getpid(), signal.SIGKILL)


def before_online(store: SenderStore) -> None:
    """Dies when the offline store is whole and nothing is online."""
    push(dying_online(store, 1), [MESSAGE], [LABEL], now=NOW)


def between_online(store: SenderStore) -> None:
    """Dies when the sender is online and the domain is not."""
    push(dying_online(store, 2), [MESSAGE], [LABEL], now=NOW)


def at_once(store: SenderStore) -> None:
    """Pushes the same messages one by one, as another process does at the same time."""
    for index in range(PUSHED_AT_ONCE):
        push(
            store,
            [mail(f"m{index}", "ann@example.org", index)],
            [verdict(f"m{index}", Label.SPAM, index)],
            now=NOW,
        )


SCENARIOS: dict[str, tuple[Callable[[SenderStore], None], int]] = {
    "after_the_log": (after_the_log, 1),
    "between_the_files": (between_the_files, 1),
    "before_online": (before_online, 1),
    "between_online": (between_online, 1),
    "at_once": (at_once, 2),
}


def main(folder: Path, names: list[str]) -> None:
    """Runs the scenarios, each in the home `folder/NAME`, and prints how the children ended."""
    statuses: dict[str, list[int]] = {}
    for name in names:
        run, processes = SCENARIOS[name]
        children = [_forked(run, folder / name) for _ in range(processes)]
        statuses[name] = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.stdout.write(json.dumps(statuses))


def _forked(run: Callable[[SenderStore], None], home: Path) -> int:
    child = os.fork()
    if child == 0:
        run(open_store(Home(home), FeatureRepoSettings.load()))
        os._exit(0)
    return child


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
