"""All history made anew: the corpus, if there is one, and everything that was pushed."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from feature_repo.corpus_events import corpus_events, corpus_path, message_count
from feature_repo.event_log import Recorded
from feature_repo.message import MessageLimits
from feature_repo.refresh import refresh, writing
from feature_repo.store import SenderStore, apply


class Materialized(NamedTuple):
    """What a materialisation found and wrote; rows by entity name."""

    until: datetime
    corpus_messages: int
    corpus_messages_without_event: int
    events: Recorded
    offline_rows: dict[str, int]
    online_rows: dict[str, int]


def materialize(
    store: SenderStore,
    until: datetime,
    *,
    read: Callable[[int], object] = lambda _total: None,
    progress: Callable[[], object] = lambda: None,
) -> Materialized:
    """Writes the whole history offline, and online what is known at `until`; doing it again changes nothing.

    `until` before that of the last time empties the online store first and fills it with the earlier state.
    `read` hears the number of corpus messages, then `progress` each of them.

    Raises:
        Locked: another process has been writing for a minute.
        OnlineStoreUnavailable: the online store does not answer; run it again when it does.
    """
    limits = MessageLimits.of(store.settings)
    apply(store)
    path = corpus_path(store.home)
    total = without_event = 0
    with writing(store) as log:
        if path.exists():
            total = message_count(path)
            read(total)
            corpus = corpus_events(path, limits, progress)
            without_event = corpus.without_event
            log.replace_corpus(corpus.messages, corpus.labels)
        written = refresh(store, log, until, everything=True)
        counts = log.counts()
    return Materialized(until, total, without_event, counts, written.offline, written.online)
