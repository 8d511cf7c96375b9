"""Pushes that die, and pushes at once, for test_push.py; `dying.py` runs them."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contracts.labels import Label
from feature_repo import offline_files
from feature_repo.push import push
from feature_repo.refresh import writing
from feature_repo.store import SenderStore
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
