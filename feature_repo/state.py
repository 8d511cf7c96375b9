"""What the stores of sender features hold right now, without changing any of them."""

from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow.parquet as pq

from feature_repo import event_log
from feature_repo.offline_files import SIDES
from feature_repo.store import SenderStore, is_applied


class State(NamedTuple):
    """The state of event log, offline files, registry and online store."""

    registered: bool
    online_store: str
    online_until: str | None
    messages: int
    labelled_messages: int
    pending_senders: int
    sender_rows: int
    domain_rows: int


def state(store: SenderStore) -> State:
    """Returns the state of the stores; a home where nothing was done yet is all zeros."""
    until: int | None = None
    messages = labels = pending = 0
    if store.log_path.exists():
        with event_log.opened(store.log_path) as log:
            until = log.online_until(store.online_name)
            messages, labels = log.counts()
            pending = len(log.pending()[0])
    rows = [
        int(pq.read_metadata(path).num_rows) if path.exists() else 0
        for path in (side.path(store.home) for side in SIDES)
    ]
    return State(
        registered=is_applied(store),
        online_store=store.settings.online_store,
        online_until=None if until is None else datetime.fromtimestamp(until, UTC).isoformat(),
        messages=messages,
        labelled_messages=labels,
        pending_senders=pending,
        sender_rows=rows[0],
        domain_rows=rows[1],
    )
