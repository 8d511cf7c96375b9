"""The corpus as sender events: what a mail server would have seen, one message after another."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from contracts import corpus as column
from contracts.labels import Label
from feature_repo.events import LabelEvent, MessageEvent, label_event, message_event
from feature_repo.message import MessageLimits, parse
from kit.home import Home

_ROWS_PER_BATCH = 256


class CorpusEvents(NamedTuple):
    """The events of a corpus, and how many of its messages make none (no sender, or no believable date)."""

    messages: list[MessageEvent]
    labels: list[LabelEvent]
    without_event: int


def corpus_path(home: Home) -> Path:
    """Returns where the normalised corpus lies, if there is one."""
    return home.corpus / "corpus.parquet"


def message_count(path: Path) -> int:
    """Returns how many messages the corpus at `path` has."""
    return int(pq.read_metadata(path).num_rows)


def corpus_events(
    path: Path, limits: MessageLimits, progress: Callable[[], object] | None = None
) -> CorpusEvents:
    """Returns the events of the corpus at `path` (columns of `contracts/corpus.py`).

    A label of the corpus counts as given with its message, so the history knows it 24 h later.
    """
    messages: list[MessageEvent] = []
    labels: list[LabelEvent] = []
    without_event = 0
    columns = [column.SHA256, column.RAW, column.LABEL, column.DATE, column.SENDER]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns):
        for row in batch.to_pylist():
            seen = parse(row[column.RAW], limits)
            event = message_event(
                message_id=row[column.SHA256],
                sender=row[column.SENDER],
                at=row[column.DATE],
                subject=seen.subject,
                has_link=bool(seen.links),
            )
            if event is None:
                without_event += 1
            else:
                messages.append(event)
                label = Label(row[column.LABEL])
                labels.append(label_event(message_id=event.message_id, label=label, at=row[column.DATE]))
            if progress is not None:
                progress()
    return CorpusEvents(messages, labels, without_event)
