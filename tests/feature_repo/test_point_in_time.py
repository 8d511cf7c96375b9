"""Training retrieval looks back only: through Feast's join, nothing that came later is in a row."""

import random

import pytest

from contracts.features import LABEL_DELAY_SECONDS
from contracts.labels import Label
from feature_repo.offline import historical_numbers
from feature_repo.push import push
from tests.feature_repo.conftest import MakeStore
from tests.feature_repo.sender_mail import after, mail, verdict

pytestmark = pytest.mark.xdist_group("feast")

HOUR = 3600
RATIO = 1


def test_moving_future_labels_changes_no_past_row(make_store: MakeStore) -> None:
    """Each message's row is asked at its own time, before and after everything later was relabelled."""
    dice = random.Random(3)
    store = make_store()
    messages = [mail(f"m{i}", f"s{i % 4}@d{i % 2}", i * HOUR, subject=f"t{i % 5}") for i in range(120)]
    labels = [verdict(f"m{i}", dice.choice([Label.SPAM, Label.HAM]), i * HOUR) for i in range(120)]
    instant = 80
    push(store, messages, labels, now=after(999 * HOUR))
    senders = [message.sender for message in messages]
    times = [after(i * HOUR) for i in range(120)]
    before = historical_numbers(store, senders, times)
    contradicted = [
        verdict(f"m{i}", Label.HAM if label.label is Label.SPAM else Label.SPAM, instant * HOUR + 1)
        for i, label in enumerate(labels)
    ]
    push(store, [], contradicted, now=after(999 * HOUR))
    afterwards = historical_numbers(store, senders, times)
    assert before[: instant + 1].tobytes() == afterwards[: instant + 1].tobytes()
    assert before[instant + 1 :, RATIO].tobytes() != afterwards[instant + 1 :, RATIO].tobytes()
    assert (before[: instant + 1, RATIO] != 0.5).any()


@pytest.mark.parametrize(
    ("seconds", "ratio"), [(LABEL_DELAY_SECONDS - 1, 1 / 2), (LABEL_DELAY_SECONDS, 2 / 3)]
)
def test_a_label_is_in_no_row_before_its_delay_is_over(
    make_store: MakeStore, seconds: int, ratio: float
) -> None:
    """One second before it is not seen, and at 24 hours it is."""
    store = make_store()
    push(store, [mail("m1", "a@x", 0)], [verdict("m1", Label.SPAM, 0)], now=after(99 * HOUR))
    numbers = historical_numbers(store, ["a@x"], [after(seconds)])
    assert numbers[0, RATIO] == pytest.approx(ratio)


def test_a_message_is_in_no_row_of_its_own_second(make_store: MakeStore) -> None:
    """Asked at its own time a message finds nothing, and one second later itself."""
    store = make_store()
    push(store, [mail("m1", "a@x", 0)], now=after(HOUR))
    numbers = historical_numbers(store, ["a@x", "a@x"], [after(0), after(1)])
    assert numbers[:, 0].tolist() == [0, 1]
