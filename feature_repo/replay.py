"""Old mail again: before each message the online store holds what was known of its sender when it came.

A corpus that ended years ago cannot be sent to what serves now as it was: today's store knows each sender's
whole history, or none that is young enough. A replay goes through the messages in the order of their time and
turns the store's clock with them, so that serving sees the numbers that training joined point in time.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from feature_repo import offline_files, online_rows
from feature_repo.addresses import address
from feature_repo.offline import HistoryMissing
from feature_repo.offline_files import SIDES, Side
from feature_repo.refresh import writing
from feature_repo.sources import TIMESTAMP
from feature_repo.store import SenderStore


class Arrival(NamedTuple):
    """Whose message came, and when; without a time it has no history, as in training."""

    sender: str
    at: datetime | None


class _Known(NamedTuple):
    """One entity of one message: its key, and the row of the history file that held when the message came."""

    side: Side
    key: str
    row: int | None


def replay(store: SenderStore, arrivals: Sequence[Arrival]) -> Iterator[list[int]]:
    """Yields the numbers of `arrivals` in groups, in the order of time; all of a group may be sent at once.

    Before it yields a group, the online store holds what was known of each of its senders and domains at the
    time of the message: nothing later. Nobody else may write features until it ends; afterwards
    `sluice features materialize` brings the store back to now. History counts for as long as
    FEATURE_REPO_HISTORY_MAX_AGE_DAYS says: old mail needs a large one.

    Raises:
        HistoryMissing: no history was made in this home.
        Locked: another process has been writing for a minute.
        OnlineStoreUnavailable: the online store does not answer.
    """
    tables = {side.entity: _table(store, side) for side in SIDES}
    order = sorted(range(len(arrivals)), key=lambda number: _time(arrivals[number]))
    with writing(store) as log:
        log.require_rebuild()  # whoever comes after us, also after a crash, makes the store anew
        online_rows.clear(store)
        group: list[int] = []
        holds: dict[tuple[str, str], int | None] = {}
        pending: list[_Known] = []
        for number in order:
            known = _known(arrivals[number], tables)
            if any(each.row != holds.get((each.side.entity, each.key), each.row) for each in known):
                yield from _turned(store, tables, pending, group)
                group, pending, holds = [], [], {}
            holds |= {(each.side.entity, each.key): each.row for each in known}
            pending += known
            group.append(number)
        yield from _turned(store, tables, pending, group)


def _turned(
    store: SenderStore, tables: dict[str, pd.DataFrame], known: Sequence[_Known], group: list[int]
) -> Iterator[list[int]]:
    if not group:
        return
    for side in SIDES:
        rows = sorted({each.row for each in known if each.side is side and each.row is not None})
        if rows:
            online_rows.write(store, side, tables[side.entity].iloc[rows])
    yield group


def _known(arrival: Arrival, tables: dict[str, pd.DataFrame]) -> list[_Known]:
    found = []
    for side, key in zip(SIDES, address(arrival.sender), strict=True):
        if not key:
            continue
        table = tables[side.entity]
        first = int(table[side.entity].searchsorted(key, side="left"))
        last = int(table[side.entity].searchsorted(key, side="right"))
        row: int | None = None
        if arrival.at is not None:
            earlier = int(
                table[TIMESTAMP].iloc[first:last].searchsorted(pd.Timestamp(arrival.at), side="right")
            )
            row = first + earlier - 1 if earlier else None
        found.append(_Known(side, key, row))
    return found


def _table(store: SenderStore, side: Side) -> pd.DataFrame:
    table = offline_files.read(store.home, side)
    if table is None:
        raise HistoryMissing(
            "No sender history was made in this home.", next_step="Run `sluice features materialize`."
        )
    return table.sort_values([side.entity, TIMESTAMP], ignore_index=True)


def _time(arrival: Arrival) -> float:
    return arrival.at.timestamp() if arrival.at is not None else float("-inf")
