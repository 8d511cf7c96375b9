"""Lookup at serving time: what is found, what is defaulted, and that the count says which."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from contracts.features import SENDER_FEATURES
from contracts.labels import Label
from feature_repo.offline import HistoryMissing, historical_numbers
from feature_repo.online import Outcome, SenderLookup
from feature_repo.push import push
from feature_repo.store import OnlineStoreUnavailable, SenderStore, apply
from tests.feature_repo.conftest import MakeStore
from tests.feature_repo.sender_mail import after, mail, verdict

pytestmark = pytest.mark.xdist_group("feast")

DEFAULTS = np.array([feature.default for feature in SENDER_FEATURES], dtype=np.float32)
DAY = 86_400


def filled(store: SenderStore) -> CollectorRegistry:
    """Pushes three messages of two senders of one domain, one of them spam, and returns an empty registry."""
    push(
        store,
        [
            mail("m1", "ann@example.org", 0, subject="one", link=True),
            mail("m2", "ann@example.org", DAY, subject="two"),
            mail("m3", "bob@example.org", 2 * DAY),
        ],
        [verdict("m1", Label.SPAM, 0)],
        now=after(4 * DAY),
    )
    return CollectorRegistry()


def lookups(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Returns the counter, by entity and outcome."""
    return {
        (sample.labels["entity"], sample.labels["outcome"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "sluice_sender_lookups_total"
    }


def test_a_known_sender_gets_its_numbers(sender_store: SenderStore) -> None:
    """Five of the address and three of the domain, in the order of the contract."""
    registry = filled(sender_store)
    numbers = SenderLookup(sender_store, registry).lookup(["ann@example.org"], after(4 * DAY))
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers, np.array([[2, 2 / 3, 2, 1 / 2, 1, 3, 2 / 3, 2]], dtype=np.float32))


def test_a_new_sender_of_a_known_domain_gets_the_domain_numbers(sender_store: SenderStore) -> None:
    """Half of the row is found, half is defaulted, online and offline alike."""
    registry = filled(sender_store)
    online = SenderLookup(sender_store, registry).lookup(["new@example.org"], after(4 * DAY))
    np.testing.assert_array_equal(online[0, :5], DEFAULTS[:5])
    assert online[0, 5] == 3
    offline = historical_numbers(sender_store, ["new@example.org", "bob@example.org"], [after(4 * DAY)] * 2)
    assert online.tobytes() == offline[:1].tobytes()
    # At its first message a sender has rows, and all of them are later: Feast would drop the question.
    first = historical_numbers(sender_store, ["bob@example.org"], [after(2 * DAY)])
    np.testing.assert_array_equal(first[0, :5], DEFAULTS[:5])
    assert first[0, 5] == 2


def test_a_batch_keeps_its_order_and_its_doubles(sender_store: SenderStore) -> None:
    """Each row equals the lookup of that sender alone; case and blanks do not matter."""
    lookup = SenderLookup(sender_store, filled(sender_store)).lookup
    asked = ["bob@example.org", "ann@example.org", "x@unknown", " BOB@Example.org ", "ann@example.org"]
    batch = lookup(asked, after(4 * DAY))
    alone = np.vstack([lookup([sender], after(4 * DAY)) for sender in asked])
    assert batch.tobytes() == alone.tobytes()
    assert not np.array_equal(batch[0], batch[1])
    assert lookup([], after(0)).shape == (0, 8)


def test_hostile_senders_are_unknown(sender_store: SenderStore) -> None:
    """They fail nothing, and they take nothing from the others of their batch."""
    lookup = SenderLookup(sender_store, filled(sender_store)).lookup
    hostile = ["", "@", "a@", "@x", "a\0b@x", "a b@x", "\udc80@x", "ж" * 320, "x" * 10**6]
    for sender in hostile:
        np.testing.assert_array_equal(lookup([sender], after(4 * DAY))[0], DEFAULTS)
    numbers = lookup([*hostile, "ann@example.org"], after(4 * DAY))
    np.testing.assert_array_equal(numbers[:-1], np.tile(DEFAULTS, (len(hostile), 1)))
    assert numbers[-1, 0] == 2


def test_history_counts_up_to_the_age_limit_and_no_second_longer(sender_store: SenderStore) -> None:
    """Offline, where Feast applies the limit, and online, where we do, change at the same instant."""
    registry = filled(sender_store)
    lookup = SenderLookup(sender_store, registry)
    # The last change of bob is his only message; that of ann and of the domain is later.
    last = after(2 * DAY + 1) + sender_store.max_age
    for instant, outcome in (
        (last - timedelta(microseconds=1), Outcome.FOUND),
        (last, Outcome.FOUND),
        (last + timedelta(microseconds=1), Outcome.EXPIRED),
    ):
        found = lookup.found(["bob@example.org"], instant)
        assert found.answers["sender"][0].outcome is outcome
        assert (found.numbers[0, 0] == 1) == (outcome is Outcome.FOUND)
        offline = historical_numbers(sender_store, ["bob@example.org"], [instant])
        assert found.numbers.tobytes() == offline.tobytes()


def test_the_share_of_defaulted_lookups_can_be_told(sender_store: SenderStore) -> None:
    """Each sender and each domain of a batch is counted once by what came of it."""
    registry = filled(sender_store)
    lookup = SenderLookup(sender_store, registry)
    lookup.lookup(["ann@example.org", "new@example.org", "x@unknown", ""], after(4 * DAY))
    lookup.lookup(["ann@example.org"], after(4 * DAY) + sender_store.max_age)
    assert lookups(registry) == {
        ("sender", "found"): 1,
        ("sender", "unknown"): 3,
        ("sender", "expired"): 1,
        ("sender_domain", "found"): 2,
        ("sender_domain", "unknown"): 2,
        ("sender_domain", "expired"): 1,
    }
    assert registry.get_sample_value("sluice_sender_lookup_seconds_count") == 2


def test_a_stranger_is_an_answer_and_no_default(sender_store: SenderStore) -> None:
    """Of the second only the domain is known, of the third nothing, and the last has no address."""
    registry = filled(sender_store)
    asked = ["ann@example.org", "new@example.org", "x@unknown", ""]
    found = SenderLookup(sender_store, registry).history(asked, after(4 * DAY))
    assert found.known.tolist() == [True, True, False, False]
    assert found.defaulted.tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(found.numbers[2:], [DEFAULTS, DEFAULTS])


def test_the_lookup_equals_feasts_own_answer(sender_store: SenderStore) -> None:
    """Reading the views directly gives what `get_online_features` gives for the feature service."""
    registry = filled(sender_store)
    ours = SenderLookup(sender_store, registry).lookup(["ann@example.org"], after(4 * DAY))
    answer: dict[str, list[Any]] = sender_store.feast.get_online_features(
        features=sender_store.feast.get_feature_service("spam_detector_v1"),
        entity_rows=[{"sender": "ann@example.org", "sender_domain": "example.org"}],
    ).to_dict()
    theirs = np.array([[answer[feature.name][0] for feature in SENDER_FEATURES]], dtype=np.float32)
    assert ours.tobytes() == theirs.tobytes()


def test_a_redis_that_is_away_is_told_and_counted(make_store: MakeStore) -> None:
    """No numbers are invented; the caller chooses what to do."""
    store = make_store("redis", applied=False, redis_connection="127.0.0.1:1")
    registry = CollectorRegistry()
    with pytest.raises(OnlineStoreUnavailable) as caught:
        SenderLookup(store, registry).lookup(["a@x", "b@x"], after(0))
    assert caught.value.next_step is not None
    assert "FEATURE_REPO_REDIS_CONNECTION" in caught.value.next_step
    assert lookups(registry) == {("sender", "failed"): 2, ("sender_domain", "failed"): 2}


def test_an_online_store_never_applied_is_told_and_counted(make_store: MakeStore) -> None:
    """The table is missing: the error says which command makes it."""
    store = make_store("sqlite", applied=False)
    registry = CollectorRegistry()
    with pytest.raises(OnlineStoreUnavailable) as caught:
        SenderLookup(store, registry).lookup(["a@x"], after(0))
    assert "sluice features materialize" in str(caught.value.next_step)
    assert lookups(registry) == {("sender", "failed"): 1, ("sender_domain", "failed"): 1}


def test_training_before_any_history_is_told(make_store: MakeStore) -> None:
    """Defaults for all would train a model that knows no senders, in silence."""
    with pytest.raises(HistoryMissing):
        historical_numbers(make_store(), ["a@x"], [after(0)])


def test_without_any_event_all_numbers_are_defaults(sender_store: SenderStore) -> None:
    """An empty history is a history: offline and online agree on it."""
    push(sender_store, [], now=after(0))
    online = SenderLookup(sender_store, CollectorRegistry()).lookup(["a@x", ""], after(0))
    offline = historical_numbers(sender_store, ["a@x", ""], [after(0), None])
    assert online.tobytes() == offline.tobytes() == np.vstack([DEFAULTS, DEFAULTS]).tobytes()


def test_questions_with_equal_sender_and_time_are_each_answered(make_store: MakeStore) -> None:
    """Feast drops such doubles; training asks for one row for each message."""
    store = make_store()
    filled(store)
    asked = ["ann@example.org", "bob@example.org", "ann@example.org"]
    numbers = historical_numbers(store, asked, [after(4 * DAY)] * 3)
    assert numbers[0].tobytes() == numbers[2].tobytes()
    assert numbers[:, 0].tolist() == [2, 1, 2]


def test_applying_again_keeps_what_is_stored(make_store: MakeStore) -> None:
    """Registration is idempotent, and a reader of the SQLite store does not wait for its writer."""
    store = make_store()
    registry = filled(store)
    apply(store)
    assert SenderLookup(store, registry).lookup(["ann@example.org"], after(4 * DAY))[0, 0] == 2
    with sqlite3.connect(store.home.features / "online.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_lookups_of_many_threads_during_pushes_see_whole_rows(sender_store: SenderStore) -> None:
    """Every message has a subject of its own, so both counts are equal in each row that was ever whole."""
    lookup = SenderLookup(sender_store, CollectorRegistry())
    over = threading.Event()

    def look() -> list[tuple[float, float]]:
        seen = []
        while not over.is_set():
            numbers = lookup.lookup(["ann@example.org", "nobody@example.org"], after(DAY))
            seen.append((float(numbers[0, 0]), float(numbers[0, 2])))
        return seen

    with ThreadPoolExecutor(3) as pool:
        lookers = [pool.submit(look) for _ in range(3)]
        for index in range(10):
            push(
                sender_store,
                [mail(f"m{index}", "ann@example.org", index, subject=str(index))],
                now=after(DAY),
            )
        over.set()
        seen = [pair for looker in lookers for pair in looker.result()]
    assert all(messages == subjects for messages, subjects in seen)
    assert len({messages for messages, _ in seen}) > 1
