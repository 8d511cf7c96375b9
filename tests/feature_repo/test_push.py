"""Push: both stores, each event once, whatever the order, and whoever dies in the middle."""

import signal
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from contracts.features import LABEL_DELAY_SECONDS
from contracts.labels import Label
from feature_repo import event_log
from feature_repo.events import LabelEvent, MessageEvent
from feature_repo.materialization import materialize
from feature_repo.offline import historical_numbers
from feature_repo.online import SenderLookup
from feature_repo.push import push
from feature_repo.refresh import writing
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import OnlineStoreUnavailable, SenderStore, apply, open_store
from kit.home import Home
from tests.feature_repo.conftest import Dying, MakeStore
from tests.feature_repo.dying_pushes import LABEL, MESSAGE, NOW, PUSHED_AT_ONCE, SCENARIOS
from tests.feature_repo.sender_mail import after, mail, verdict

pytestmark = pytest.mark.xdist_group("feast")

DAY = 86_400
ANN = "ann@example.org"


def online(store: SenderStore, sender: str, at: datetime) -> NDArray[np.float32]:
    """Returns the 8 numbers that serving sees."""
    return SenderLookup(store, CollectorRegistry()).lookup([sender], at).reshape(-1)


def offline(store: SenderStore, sender: str, at: datetime) -> NDArray[np.float32]:
    """Returns the 8 numbers that training sees."""
    return historical_numbers(store, [sender], [at]).reshape(-1)


def test_a_pushed_message_and_its_label_are_in_both_stores(sender_store: SenderStore) -> None:
    """One message, one label: count 1, ratio 2/3, link rate 1; online as offline."""
    now = after(2 * DAY)
    pushed = push(sender_store, [mail("m1", ANN, 0, link=True)], [verdict("m1", Label.SPAM, 60)], now=now)
    assert pushed.recorded == (1, 1)
    numbers = online(sender_store, ANN, now)
    np.testing.assert_array_equal(numbers, np.array([1, 2 / 3, 1, 1, 0, 1, 2 / 3, 0], dtype=np.float32))
    assert numbers.tobytes() == offline(sender_store, ANN, now).tobytes()


def test_the_same_events_twice_count_once(sender_store: SenderStore) -> None:
    """The second push finds nothing new, writes nothing, and changes no number."""
    now = after(2 * DAY)
    events = [mail("m1", ANN, 0), mail("m1", ANN, 0)], [verdict("m1", Label.SPAM, 0)] * 2
    assert push(sender_store, *events, now=now).recorded == (1, 1)
    before = online(sender_store, ANN, now)
    again = push(sender_store, *events, now=now)
    assert again.recorded == (0, 0)
    assert again.refreshed.online == {"sender": 0, "sender_domain": 0}
    assert online(sender_store, ANN, now).tobytes() == before.tobytes()
    assert before[0] == 1


def test_a_label_reaches_the_online_store_with_the_first_push_after_its_delay(
    sender_store: SenderStore,
) -> None:
    """One second before, a push leaves the ratio; at its time, a push of nothing at all brings it."""
    push(sender_store, [mail("m1", ANN, 0)], [verdict("m1", Label.SPAM, 0)], now=after(10))
    push(sender_store, [], now=after(LABEL_DELAY_SECONDS - 1))
    assert online(sender_store, ANN, after(LABEL_DELAY_SECONDS))[1] == 0.5
    due = push(sender_store, [], now=after(LABEL_DELAY_SECONDS))
    assert due.refreshed.online == {"sender": 1, "sender_domain": 1}
    assert online(sender_store, ANN, after(LABEL_DELAY_SECONDS))[1] == np.float32(2 / 3)


def test_a_late_message_corrects_the_online_row_behind_which_it_belongs(sender_store: SenderStore) -> None:
    """The row keeps its time and gets new numbers; Feast's own check on Redis would skip such a row."""
    now = after(DAY)
    push(sender_store, [mail("new", ANN, 5 * 3600, subject="new")], now=now)
    push(sender_store, [mail("old", ANN, 3600, subject="old")], now=now)
    numbers = online(sender_store, ANN, now)
    np.testing.assert_array_equal(numbers, np.array([2, 0.5, 2, 0, 4 / 24, 2, 0.5, 4 / 24], dtype=np.float32))
    assert numbers.tobytes() == offline(sender_store, ANN, now).tobytes()


def test_the_order_of_pushes_does_not_matter(make_store: MakeStore, tmp_path: Path) -> None:
    """Label first, late messages, corrections: both stores end where one push of all would end."""
    now = after(9 * DAY)
    messages = [mail(f"m{i}", f"s{i % 3}@d{i % 2}", 7000 * i, subject=f"t{i % 4}") for i in range(8)]
    labels = [verdict(f"m{i}", Label.SPAM if i % 2 else Label.HAM, 8000 * i) for i in range(8)]
    labels += [verdict("m1", Label.HAM, 5 * DAY), verdict("m2", Label.SPAM, 6 * DAY)]
    one = make_store()
    push(one, messages, labels, now=now)
    many = open_store(Home(tmp_path / "many"), FeatureRepoSettings.load())
    apply(many)
    mixed: list[MessageEvent | LabelEvent] = [*reversed(labels), *messages[4:], *reversed(messages[:4])]
    for event in mixed:
        is_message = isinstance(event, MessageEvent)
        push(many, [event] if is_message else [], [] if is_message else [event], now=now)  # type: ignore[list-item]
    for index in range(3):
        for domain in range(2):
            sender = f"s{index}@d{domain}"
            for reading in (online, offline):
                assert reading(one, sender, now).tobytes() == reading(many, sender, now).tobytes()


def test_an_online_store_that_is_away_gets_its_rows_later(make_store: MakeStore) -> None:
    """The events are kept, the offline store has them, and the next push brings them online."""
    away = make_store("redis", applied=False, redis_connection="127.0.0.1:1")
    now = after(DAY)
    with pytest.raises(OnlineStoreUnavailable):
        push(away, [mail("m1", ANN, 0)], now=now)
    back = make_store("redis")
    assert offline(back, ANN, now)[0] == 1
    assert push(back, [], now=now).refreshed.online == {"sender": 1, "sender_domain": 1}
    assert online(back, ANN, now)[0] == 1


def test_another_online_store_is_filled_by_its_first_push(make_store: MakeStore) -> None:
    """From SQLite to Redis by settings: nothing known is forgotten."""
    now = after(DAY)
    push(make_store("sqlite"), [mail("m1", ANN, 0)], now=now)
    redis_store = make_store("redis")
    push(redis_store, [mail("m2", "bob@other.org", 0)], now=now)
    assert online(redis_store, ANN, now)[0] == 1


def test_an_earlier_state_can_be_materialized(sender_store: SenderStore) -> None:
    """Senders that were not known then are unknown again, and the next push goes on from there."""
    push(sender_store, [mail("m1", ANN, 0), mail("m2", "bob@b.org", 3 * DAY)], now=after(9 * DAY))
    materialize(sender_store, after(2 * DAY))
    assert online(sender_store, ANN, after(2 * DAY))[0] == 1
    assert online(sender_store, "bob@b.org", after(2 * DAY))[0] == 0
    push(sender_store, [], now=after(9 * DAY))
    assert online(sender_store, "bob@b.org", after(9 * DAY))[0] == 1


def test_senders_of_a_replaced_corpus_are_forgotten(make_store: MakeStore) -> None:
    """What was pushed stays; the same corpus again changes nothing."""
    store = make_store()
    now = after(DAY)
    push(store, [mail("pushed", ANN, 0)], now=now)
    for sender in ("first@corpus.org", "second@corpus.org"):
        with writing(store) as log:
            assert log.replace_corpus([mail(sender, sender, 0)], [verdict(sender, Label.HAM, 0)])
            assert not log.replace_corpus([mail(sender, sender, 0)], [verdict(sender, Label.HAM, 0)])
        push(store, [], now=now)
        assert online(store, sender, now)[0] == 1
    for reading in (online, offline):
        assert reading(store, "first@corpus.org", now)[0] == 0
        assert reading(store, ANN, now)[0] == 1


def test_a_message_of_the_corpus_that_is_pushed_too_counts_once(make_store: MakeStore) -> None:
    """The earlier telling of its time holds."""
    store = make_store()
    with writing(store) as log:
        log.replace_corpus([mail("m1", ANN, 3600)], [])
    push(store, [mail("m1", ANN, 0), mail("m2", ANN, 7200)], now=after(DAY))
    numbers = online(store, ANN, after(DAY))
    assert numbers[0] == 2
    assert numbers[4] == np.float32(2 / 24)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, dying: Dying) -> tuple[Path, dict[str, list[int]]]:
    """The homes in which the scenarios of `dying_pushes` ran, and how they ended."""
    folder = tmp_path_factory.mktemp("dying")
    for name in SCENARIOS:
        apply(open_store(Home(folder / name), FeatureRepoSettings.load()))
    return folder, dying(folder, SCENARIOS)


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"at_once"}))
def test_what_a_killed_push_left_is_ended_by_the_next_one(
    ended: tuple[Path, dict[str, list[int]]], scenario: str
) -> None:
    """Killed after the log, between the files, before and between the online writes: counted once in both."""
    folder, statuses = ended
    assert statuses[scenario] == [-signal.SIGKILL]
    store = open_store(Home(folder / scenario), FeatureRepoSettings.load())
    with event_log.opened(store.log_path) as log:
        assert log.pending() == (frozenset({ANN}), frozenset({"example.org"}))
    again = push(store, [MESSAGE], [LABEL], now=NOW)
    assert again.recorded == (0, 0)
    expected = np.array([1, 2 / 3, 1, 1, 0, 1, 2 / 3, 0], dtype=np.float32)
    for reading in (online, offline):
        assert reading(store, ANN, NOW).tobytes() == expected.tobytes()


def test_two_processes_that_push_the_same_count_it_once(
    ended: tuple[Path, dict[str, list[int]]],
) -> None:
    """Both push the same messages at once; none is lost, and none is doubled."""
    folder, statuses = ended
    assert statuses["at_once"] == [0, 0]
    store = open_store(Home(folder / "at_once"), FeatureRepoSettings.load())
    for reading in (online, offline):
        numbers = reading(store, ANN, NOW)
        assert numbers[0] == PUSHED_AT_ONCE
        assert numbers[1] == np.float32((PUSHED_AT_ONCE + 1) / (PUSHED_AT_ONCE + 2))
