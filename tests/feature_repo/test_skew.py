"""No skew: the training path and the serving path give the same 24 numbers, bit for bit, on real mail.

Serving lives through the mail in event time: each message is pushed when it comes, its label with it, and the
numbers are looked up at its instant. Training asks afterwards, when the stores know everything that followed.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from contracts.features import NUMERIC_NAMES
from contracts.labels import Label
from feature_repo.events import label_event, message_event
from feature_repo.message import parse
from feature_repo.message_features import extract
from feature_repo.numeric import numeric
from feature_repo.offline import historical_numbers
from feature_repo.online import SenderLookup
from feature_repo.push import push
from feature_repo.store import SenderStore
from kit.errors import Bug
from tests.feature_repo.conftest import MakeStore

if TYPE_CHECKING:
    import pyarrow as pa

pytestmark = pytest.mark.xdist_group("feast-skew")


@pytest.mark.parametrize(("kind", "mail", "asked"), [("sqlite", 400, 100), ("redis", 160, 40)])
def test_training_and_serving_give_the_same_bits(
    make_store: MakeStore, corpus: "pa.Table", kind: str, mail: int, asked: int
) -> None:
    """Of `mail` messages of the corpus, `asked` are looked up as they come and compared."""
    store = make_store(kind)
    # The corpus is ordered by hash, so its first rows are a fair sample of it.
    dated = corpus.filter(corpus["date"].is_valid()).slice(0, mail).sort_by("date").to_pylist()
    questions = dated[:: mail // asked]
    served = serve(store, dated, questions)
    trained = train(store, questions)
    assert served.shape == trained.shape == (asked, len(NUMERIC_NAMES))
    different = [
        name
        for index, name in enumerate(NUMERIC_NAMES)
        if served[:, index].tobytes() != trained[:, index].tobytes()
    ]
    assert different == []
    # The comparison would be empty if nobody had a history, or if no label had become known on the way.
    assert (served[:, NUMERIC_NAMES.index("sender_message_count")] > 0).mean() > 0.1
    assert (served[:, NUMERIC_NAMES.index("domain_spam_ratio")] != 0.5).mean() > 0.1


def test_numbers_of_another_form_are_refused() -> None:
    """A wider dtype or a missing column is a bug, not something to cast."""
    right = np.zeros((2, 16), np.float32), np.zeros((2, 8), np.float32)
    assert numeric(*right).shape == (2, 24)
    for wrong in (np.zeros((2, 8)), np.zeros((2, 7), np.float32), np.zeros((1, 8), np.float32)):
        with pytest.raises(Bug):
            numeric(right[0], wrong)  # type: ignore[arg-type]


def serve(
    store: SenderStore, mail: list[dict[str, Any]], questions: list[dict[str, Any]]
) -> NDArray[np.float32]:
    """Returns the 24 numbers of each question as the transformer makes them at its instant."""
    lookup = SenderLookup(store, CollectorRegistry())
    coming = iter([*mail, None])
    row = next(coming)
    answers = []
    for question in questions:
        instant: datetime = question["date"]
        events = []
        while row is not None and row["date"] <= instant:
            events.append(row)
            row = next(coming)
        push_rows(store, events, instant)
        message = parse(question["raw"])
        answers.append(
            numeric(extract(message).numeric[np.newaxis], lookup.lookup([message.sender], instant))
        )
    remaining = [row, *coming] if row is not None else []
    push_rows(store, [event for event in remaining if event is not None], mail[-1]["date"])
    return np.vstack(answers)


def train(store: SenderStore, questions: list[dict[str, Any]]) -> NDArray[np.float32]:
    """Returns the 24 numbers of each question as training makes them, all at once."""
    messages = np.stack([extract(parse(question["raw"])).numeric for question in questions])
    senders = historical_numbers(
        store, [question["sender"] for question in questions], [question["date"] for question in questions]
    )
    return numeric(messages, senders)


def push_rows(store: SenderStore, rows: list[dict[str, Any]], now: datetime) -> None:
    """Pushes corpus rows, with the label given at the time of the message."""
    messages = []
    labels = []
    for row in rows:
        message = parse(row["raw"])
        event = message_event(
            message_id=row["sha256"],
            sender=message.sender,
            at=row["date"],
            subject=message.subject,
            has_link=bool(message.links),
        )
        if event is not None:
            messages.append(event)
            labels.append(label_event(message_id=row["sha256"], label=Label(row["label"]), at=row["date"]))
    push(store, messages, labels, now=now)
