"""From the event log to both stores: offline first, online after, and only then is nothing pending.

Every step may be repeated: histories are made from the log and rows are put in the place of former ones. A
process that dies between two steps leaves its events pending, and the next push or materialisation ends the
work. Rows that lie in the future (a label is known 24 h later) stay offline and reach the online store with
the first push or materialisation after their time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

import pandas as pd

from feature_repo import event_log, offline_files, online_rows
from feature_repo.event_log import EventLog
from feature_repo.offline_files import SIDES, Side
from feature_repo.sources import TIMESTAMP
from feature_repo.store import SenderStore
from kit.files import locked

_LOCK_SECONDS: Final = 60.0

Progress = Callable[[int], object]


class Refreshed(NamedTuple):
    """What a refresh did, by entity name: rows in the history file, and rows written online."""

    offline: dict[str, int]
    online: dict[str, int]


@contextmanager
def writing(store: SenderStore) -> Iterator[EventLog]:
    """Yields the event log while no other process writes features.

    Raises:
        Locked: another process has been writing for a minute.
    """
    with (
        locked(store.lock_path, what="Writing sender features", timeout_seconds=_LOCK_SECONDS),
        event_log.opened(store.log_path) as log,
    ):
        yield log


def refresh(
    store: SenderStore,
    log: EventLog,
    now: datetime,
    *,
    everything: bool = False,
    progress: Progress | None = None,
) -> Refreshed:
    """Brings both stores to what the log says is known at `now`; call it inside `writing`.

    Only senders and domains with pending events are computed, and only they and those with rows that became
    known since the last time are written online. `everything` makes all of it anew.

    Raises:
        OnlineStoreUnavailable: the online store does not answer; what is pending stays so.
    """
    until = int(now.timestamp())
    former = log.online_until(store.online_name)
    tables, affected = _offline(store, log, everything=everything)
    if log.needs_rebuild() or (former is not None and everything and until < former):
        # Rows of senders that are gone, or not yet known at `now`, would stay otherwise. Should this process
        # die before the end, the next one must start anew.
        log.require_rebuild()
        online_rows.clear(store)
        former = None
    if everything:
        former = None
    written = {}
    for side in SIDES:
        due = _due(tables[side.entity], side, former, until, affected[side.entity])
        online_rows.write(store, side, due, progress)
        written[side.entity] = len(due)
    log.settle(store.online_name, until)
    return Refreshed({entity: len(table) for entity, table in tables.items()}, written)


def _offline(
    store: SenderStore, log: EventLog, *, everything: bool
) -> tuple[dict[str, pd.DataFrame], dict[str, frozenset[str]]]:
    """Brings the history files up to the log; returns them, and whose rows were computed."""
    former = {side.entity: offline_files.read(store.home, side) for side in SIDES}
    affected = dict(zip(former, log.pending(), strict=True))
    whole = everything or log.needs_rebuild() or any(table is None for table in former.values())
    tables: dict[str, pd.DataFrame] = {}
    events = log.events(pending_only=not whole) if whole or any(affected.values()) else None
    for side in SIDES:
        table = former[side.entity]
        if events is not None:
            anew = offline_files.computed(events, side)
            table = (
                anew
                if whole or table is None
                else offline_files.spliced(table, anew, side, affected[side.entity])
            )
            offline_files.write(store.home, side, table)
        if table is not None:
            tables[side.entity] = table
    return tables, affected


def _due(
    table: pd.DataFrame, side: Side, former: int | None, until: int, affected: frozenset[str]
) -> pd.DataFrame:
    """Returns the rows to write online: the newest of each entity that changed since `former`."""
    newest = offline_files.newest(table, side, pd.Timestamp(until, unit="s", tz="UTC"))
    if former is None:
        return newest
    became_known = newest[TIMESTAMP] > pd.Timestamp(former, unit="s", tz="UTC")
    return newest[became_known | newest[side.entity].isin(affected)]
