"""The sender events this machine has heard of: a SQLite file, the truth from which every history is made.

Messages and labels are kept as they were told, each once. What is not yet in the offline and online stores is
marked pending in the same transaction, so that a crash at any later step is made good by the next push or
materialisation. Callers hold the lock of `feature_repo.refresh` while they write.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

import pandas as pd

from contracts.labels import Label
from feature_repo import history
from feature_repo.events import LabelEvent, MessageEvent

Source = Literal["corpus", "push"]

_REBUILD: Final = "rebuild"
_CORPUS_DIGEST: Final = "corpus_digest"
_ONLINE_STORE: Final = "online_store"
_ONLINE_UNTIL: Final = "online_until"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    message_id TEXT NOT NULL, source TEXT NOT NULL, sender TEXT NOT NULL, domain TEXT NOT NULL,
    time INTEGER NOT NULL, subject_hash TEXT NOT NULL, has_link INTEGER NOT NULL,
    PRIMARY KEY (message_id, source)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS messages_by_sender ON messages (sender);
CREATE INDEX IF NOT EXISTS messages_by_domain ON messages (domain);
CREATE TABLE IF NOT EXISTS labels (
    message_id TEXT NOT NULL, time INTEGER NOT NULL, is_spam INTEGER NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (message_id, time, is_spam, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
    sender TEXT NOT NULL, domain TEXT NOT NULL, PRIMARY KEY (sender, domain)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_AFFECTED: Final = """
SELECT message_id FROM messages
WHERE sender IN (SELECT sender FROM pending) OR (domain != '' AND domain IN (SELECT domain FROM pending))
"""


class Recorded(NamedTuple):
    """How many events were new; the others had been heard before."""

    messages: int
    labels: int


class Events(NamedTuple):
    """Events as `feature_repo.history` reads them: MESSAGE_COLUMNS with each id once, and LABEL_COLUMNS."""

    messages: pd.DataFrame
    labels: pd.DataFrame


class EventLog:
    """One open event log; close it after use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def record(
        self, messages: Iterable[MessageEvent], labels: Iterable[LabelEvent], *, source: Source = "push"
    ) -> Recorded:
        """Writes the events that are new and marks their senders pending, all in one transaction."""
        with self._connection:
            new_messages = sum(self._record_message(event, source) for event in messages)
            new_labels = sum(self._record_label(event, source) for event in labels)
        return Recorded(new_messages, new_labels)

    def replace_corpus(self, messages: Sequence[MessageEvent], labels: Sequence[LabelEvent]) -> bool:
        """Puts these events in the place of the former corpus'; returns False if they are the same.

        Senders may vanish with the former corpus, so every history has to be made anew.
        """
        lines = sorted(map(repr, [*messages, *labels]))
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        if self._state(_CORPUS_DIGEST) == digest:
            return False
        with self._connection:
            self._connection.execute("DELETE FROM messages WHERE source = 'corpus'")
            self._connection.execute("DELETE FROM labels WHERE source = 'corpus'")
            for message in messages:
                self._record_message(message, "corpus")
            for label in labels:
                self._record_label(label, "corpus")
            self._set_state(_CORPUS_DIGEST, digest)
            self._set_state(_REBUILD, "yes")
        return True

    def events(self, *, pending_only: bool = False) -> Events:
        """Returns all events, or those of every sender and domain that has something pending."""
        chosen = f"WHERE message_id IN ({_AFFECTED})" if pending_only else ""
        # Two sources may tell of one message; the earlier telling holds, whichever was heard first.
        messages = pd.DataFrame(
            self._connection.execute(
                "SELECT message_id, sender, domain, time, subject_hash, has_link FROM messages "  # noqa: S608 - constants
                f"{chosen} ORDER BY message_id, time, sender, subject_hash"
            ).fetchall(),
            columns=list(history.MESSAGE_COLUMNS),
        ).drop_duplicates("message_id")
        labels = pd.DataFrame(
            self._connection.execute(
                f"SELECT DISTINCT message_id, is_spam, time FROM labels {chosen}"  # noqa: S608
            ).fetchall(),
            columns=list(history.LABEL_COLUMNS),
        )
        return Events(
            messages.astype({"time": "int64", "has_link": "int64"}),
            labels.astype({"time": "int64", "is_spam": "int64"}),
        )

    def counts(self) -> Recorded:
        """Returns how many messages and labels are known."""
        (messages,) = self._connection.execute("SELECT count(DISTINCT message_id) FROM messages").fetchone()
        (labels,) = self._connection.execute("SELECT count(DISTINCT message_id) FROM labels").fetchone()
        return Recorded(messages, labels)

    def pending(self) -> tuple[frozenset[str], frozenset[str]]:
        """Returns the senders and the domains whose events are not yet in the stores."""
        pairs = self._connection.execute("SELECT sender, domain FROM pending").fetchall()
        return frozenset(sender for sender, _ in pairs), frozenset(domain for _, domain in pairs if domain)

    def needs_rebuild(self) -> bool:
        """Returns whether every history has to be made anew."""
        return self._state(_REBUILD) is not None

    def online_until(self, store: str) -> int | None:
        """Returns up to which second the online store named `store` shows what is known.

        None means that it was never filled, or that another store was filled since.
        """
        value = self._state(_ONLINE_UNTIL)
        return int(value) if value is not None and self._state(_ONLINE_STORE) == store else None

    def require_rebuild(self) -> None:
        """Remembers that every history has to be made anew, also if this process dies."""
        with self._connection:
            self._set_state(_REBUILD, "yes")

    def settle(self, store: str, until: int) -> None:
        """Remembers that the offline store is whole and that `store` shows what is known at `until`."""
        with self._connection:
            self._connection.execute("DELETE FROM pending")
            self._connection.execute("DELETE FROM state WHERE key = ?", (_REBUILD,))
            self._set_state(_ONLINE_STORE, store)
            self._set_state(_ONLINE_UNTIL, str(until))

    def _record_message(self, event: MessageEvent, source: Source) -> bool:
        new = self._connection.execute(
            "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                event.message_id,
                source,
                event.sender,
                event.domain,
                event.time,
                event.subject_hash,
                event.has_link,
            ),
        ).rowcount
        if new:
            self._mark_pending(event.message_id)
        return bool(new)

    def _record_label(self, event: LabelEvent, source: Source) -> bool:
        new = self._connection.execute(
            "INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?)",
            (event.message_id, event.time, event.label is Label.SPAM, source),
        ).rowcount
        if new:
            self._mark_pending(event.message_id)
        return bool(new)

    def _mark_pending(self, message_id: str) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO pending SELECT sender, domain FROM messages WHERE message_id = ?",
            (message_id,),
        )

    def _state(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set_state(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))


@contextmanager
def opened(path: Path) -> Iterator[EventLog]:
    """Yields the event log at `path`, made if absent, and closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.executescript(_SCHEMA)
        yield EventLog(connection)
    finally:
        connection.close()
