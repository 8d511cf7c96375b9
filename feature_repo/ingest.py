"""New predictions and feedback become sender events: the job between the records and the feature stores.

Both are read in the order in which they were recorded, page by page, up to a minute behind now. A page goes
into the event log, which takes each event once; then the place where it ended is kept beside the log; at the
end both stores are refreshed. A process that dies anywhere leaves nothing that the next run does not end: a
page that is read again is known already, and what is in the log and not in the stores is marked there.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.features import NUMERIC_NAMES, SCHEMA_DIGEST
from contracts.labels import Label
from contracts.tensors import SPAM_DETECTOR
from feature_repo.event_log import Recorded
from feature_repo.events import LabelEvent, MessageEvent, label_event, message_event, subject_hash
from feature_repo.refresh import refresh, writing
from feature_repo.store import SenderStore, apply, is_applied
from kit.errors import OperationalError
from kit.files import locked, write_text
from records.engine import Records, opened
from records.repositories import feedback, jobs, predictions
from records.repositories.feedback import LabelledPrediction
from records.repositories.predictions import Cursor
from records.tables import PredictionLog

BEHIND: Final = timedelta(minutes=1)
"""Younger rows wait: a transaction that is still open may yet commit rows with an earlier time."""
PAGE: Final = 1000
FILE: Final = "ingest.json"
_LOCK: Final = "ingest.lock"
_LINKS: Final = NUMERIC_NAMES.index("link_count")
_HASH_DIGITS: Final = len(subject_hash(""))


class CursorsUnreadable(OperationalError):
    """The file that tells how far the job has come is damaged."""

    code = "ingest_cursors_unreadable"
    title = "The place of the last run is unknown"


class Ingested(NamedTuple):
    """What a run read, and what of it was new to the sender history."""

    until: datetime
    """Rows recorded before this time were read."""
    predictions: int
    feedback: int
    without_event: int
    """Rows of other models, or without a sender to believe, or of another feature schema."""
    events: Recorded
    online_rows: dict[str, int]


class Places(BaseModel):
    """How far the job has come in one records database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: str
    """A name of the database without its secrets: another one is read from its beginning."""
    predictions: Cursor | None = None
    feedback: Cursor | None = None


def ingest(
    store: SenderStore,
    *,
    now: datetime | None = None,
    progress: Callable[[int], object] = lambda _rows: None,
    page: int = PAGE,
) -> Ingested:
    """Takes what was recorded since the last run into the sender history, offline and online; each row once.

    `progress` hears of each page how many rows it had, when they are in the event log.

    Raises:
        Locked: another process is at it.
        RecordsUnavailable, SchemaBehind: the records do not answer; what was read before is kept.
        OnlineStoreUnavailable: the events are safe in the log; the next run brings them online.
        CursorsUnreadable: the file of the last run is damaged.
    """
    return asyncio.run(_ingest(store, now or datetime.now(UTC), progress, page))


async def _ingest(
    store: SenderStore, now: datetime, progress: Callable[[int], object], page: int
) -> Ingested:
    path = store.home.features / FILE
    with locked(store.home.features / _LOCK, what="Taking predictions into the sender history"):
        async with opened() as records:
            places = _read(path, records)
            if not is_applied(store):
                apply(store)
            read = _Reading(store, records, path, places, now - BEHIND)
            await read.predictions(progress, page)
            await read.feedback(progress, page)
        with writing(store) as log:
            refreshed = refresh(store, log, now)
    async with opened() as records, records.transaction() as session:
        await jobs.completed(session, jobs.Job.INGEST, now=now, rows=sum(read.rows))
    return Ingested(
        until=read.until,
        predictions=read.rows[0],
        feedback=read.rows[1],
        without_event=read.without_event,
        events=Recorded(*read.new),
        online_rows=refreshed.online,
    )


class _Reading:
    """One run, page by page."""

    def __init__(
        self, store: SenderStore, records: Records, path: Path, places: Places, until: datetime
    ) -> None:
        self._store = store
        self._records = records
        self._path = path
        self._places = places
        self.until = until
        self.rows = [0, 0]
        self.new = [0, 0]
        self.without_event = 0

    async def predictions(self, progress: Callable[[int], object], page: int) -> None:
        """Reads the predictions that are new."""
        while True:
            cursor = self._places.predictions
            async with self._records.reading() as session:
                rows = await predictions.recorded_after(session, cursor, until=self.until, limit=page)
            if not rows:
                return
            events = [event for row in rows if (event := message_of(row)) is not None]
            self.rows[0] += len(rows)
            self.without_event += len(rows) - len(events)
            self._record(events, [])
            progress(len(rows))
            self._keep({"predictions": predictions.cursor_after(rows, cursor)})

    async def feedback(self, progress: Callable[[int], object], page: int) -> None:
        """Reads the feedback that is new, and that whose prediction is."""
        while True:
            cursor = self._places.feedback
            async with self._records.reading() as session:
                rows = await feedback.known_after(session, cursor, until=self.until, limit=page)
            if not rows:
                return
            events = [event for row in rows if (event := label_of(row)) is not None]
            self.rows[1] += len(rows)
            self.without_event += len(rows) - len(events)
            self._record([], events)
            progress(len(rows))
            self._keep({"feedback": Cursor(rows[-1].known_at, rows[-1].feedback.id)})

    def _record(self, messages: Sequence[MessageEvent], labels: Sequence[LabelEvent]) -> None:
        with writing(self._store) as log:
            recorded = log.record(messages, labels)
        self.new[0] += recorded.messages
        self.new[1] += recorded.labels

    def _keep(self, changed: dict[str, Cursor | None]) -> None:
        self._places = self._places.model_copy(update=changed)
        write_text(self._path, self._places.model_dump_json() + "\n")


def message_of(row: PredictionLog) -> MessageEvent | None:
    """Returns the event of a message that was answered, or None if it makes none.

    The message came when it was answered. Whether it had links is read from the numbers that the model saw,
    of which only those of this schema are understood.
    """
    if row.model_name != SPAM_DETECTOR or row.schema_digest != SCHEMA_DIGEST:
        return None
    if row.message_sha256 is None or row.sender is None or len(row.numeric) != len(NUMERIC_NAMES):
        return None
    event = message_event(
        message_id=row.message_sha256,
        sender=row.sender,
        at=row.created_at,
        subject="",
        has_link=row.numeric[_LINKS] > 0,
    )
    if event is None or row.subject_sha256 is None:
        return event
    return replace(event, subject_hash=row.subject_sha256[:_HASH_DIGITS])


def label_of(row: LabelledPrediction) -> LabelEvent | None:
    """Returns the event of a label, or None if its message makes none or it is no verdict on one."""
    message = message_of(row.prediction)
    if message is None or row.feedback.label not in tuple(Label):
        return None
    return label_event(
        message_id=message.message_id, label=Label(row.feedback.label), at=row.feedback.created_at
    )


def _read(path: Path, records: Records) -> Places:
    name = records.engine.url.render_as_string(hide_password=True)
    anew = Places(records=hashlib.sha256(name.encode()).hexdigest()[:16])
    try:
        found = Places.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return anew
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise CursorsUnreadable(
            f"{path} does not tell how far the last run came.",
            next_step="Remove it: all predictions are then read once more, and each still counts once.",
        ) from error
    return found if found.records == anew.records else anew
