"""New events into both stores, each counted once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from feature_repo.event_log import Recorded
from feature_repo.events import LabelEvent, MessageEvent
from feature_repo.refresh import Refreshed, refresh, writing
from feature_repo.store import SenderStore


class Pushed(NamedTuple):
    """How many events were new, and what reached the stores."""

    recorded: Recorded
    refreshed: Refreshed


def push(
    store: SenderStore,
    messages: Sequence[MessageEvent],
    labels: Sequence[LabelEvent] = (),
    *,
    now: datetime | None = None,
) -> Pushed:
    """Puts events into the log, the offline and the online store; an event heard before changes nothing.

    A message's identity is its id, a label's its message, time and verdict. A label may come before its
    message. A message that comes late takes its place in event time: later rows of its sender are corrected,
    and the online row stays the newest one. `now` is the time up to which the online store shall know.

    Raises:
        Locked: another process has been writing for a minute.
        OnlineStoreUnavailable: the events are safe in the log and offline; the next push brings them online.
    """
    with writing(store) as log:
        recorded = log.record(messages, labels)
        refreshed = refresh(store, log, now or datetime.now(UTC))
    structlog.get_logger(__name__).info(
        "sender_events_pushed",
        new_messages=recorded.messages,
        new_labels=recorded.labels,
        online_rows=sum(refreshed.online.values()),
    )
    return Pushed(recorded, refreshed)
