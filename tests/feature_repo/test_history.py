"""History is a pure function of what was known: nothing of the future, each fact once, in any order."""

import random
from typing import Any

import pandas as pd
import pytest

from contracts.features import LABEL_DELAY_SECONDS
from feature_repo import history

DAY = history.SECONDS_PER_DAY
START = 1_000_000_000


def messages(*facts: tuple[str, str, int, str, bool]) -> pd.DataFrame:
    """Returns message events from (id, sender, seconds after START, subject, has link)."""
    rows = [
        (name, sender, sender.partition("@")[2], START + time, subject, int(link))
        for name, sender, time, subject, link in facts
    ]
    return pd.DataFrame(rows, columns=list(history.MESSAGE_COLUMNS)).astype(
        {"time": "int64", "has_link": "int64"}
    )


def labels(*facts: tuple[str, bool, int]) -> pd.DataFrame:
    """Returns label events from (id, is spam, seconds after START)."""
    rows = [(name, int(spam), START + time) for name, spam, time in facts]
    return pd.DataFrame(rows, columns=list(history.LABEL_COLUMNS)).astype(
        {"is_spam": "int64", "time": "int64"}
    )


def known(table: pd.DataFrame, entity: str, at: int, key: str = "sender") -> dict[str, Any] | None:
    """Returns the last row of `entity` that is visible `at` seconds after START."""
    rows = table[(table[key] == entity) & (table["time"] <= START + at)]
    return None if rows.empty else rows.iloc[-1].to_dict()


def until(table: pd.DataFrame, time: int) -> pd.DataFrame:
    """Returns the rows that are visible at `time`."""
    return table[table["time"] <= time].reset_index(drop=True)


def told(row: dict[str, Any] | None) -> dict[str, Any]:
    """Returns a row that must be there."""
    assert row is not None
    return row


def test_a_message_sees_neither_itself_nor_another_of_its_second() -> None:
    """At the second of two messages nothing is known of either; one second later both are."""
    table = history.rows(
        messages(("m1", "a@x", 10, "one", False), ("m2", "a@x", 10, "two", False)), labels(), "sender"
    )
    assert known(table, "a@x", 10) is None
    assert told(known(table, "a@x", 11))["message_count"] == 2


@pytest.mark.parametrize(
    ("label_time", "visible"),
    [(0, LABEL_DELAY_SECONDS), (LABEL_DELAY_SECONDS, LABEL_DELAY_SECONDS), (3 * DAY, 3 * DAY)],
)
def test_a_label_is_seen_after_the_delay_and_not_a_second_earlier(label_time: int, visible: int) -> None:
    """A label given early waits for 24 h after its message; one given later is seen when it is given."""
    table = history.rows(messages(("m1", "a@x", 0, "one", False)), labels(("m1", True, label_time)), "sender")
    assert told(known(table, "a@x", visible - 1))["spam_ratio"] == 1 / 2
    assert told(known(table, "a@x", visible))["spam_ratio"] == 2 / 3


def test_moving_future_labels_changes_no_past_row() -> None:
    """Whatever is said of messages from some instant on, the rows before it stay as they were."""
    dice = random.Random(1)
    facts = [(f"m{i}", f"s{i % 5}@d{i % 2}", 3000 * i, f"t{i % 7}", i % 3 == 0) for i in range(200)]
    given = [(f"m{i}", dice.random() < 0.5, 3000 * i) for i in range(200)]
    instant = 3000 * 150
    for key in ("sender", "domain"):
        before = history.rows(messages(*facts), labels(*given), key)
        moved = [
            (name, not spam if time + LABEL_DELAY_SECONDS > instant else spam, time)
            for name, spam, time in given
        ]
        contradicted = [*moved, *((name, not spam, instant + 1) for name, spam, _ in given)]
        for changed in (moved, contradicted):
            after = history.rows(messages(*facts), labels(*changed), key)
            past = START + instant
            pd.testing.assert_frame_equal(until(before, past), until(after, past))
            assert not before["spam_ratio"].equals(after["spam_ratio"])


def test_of_two_labels_the_later_is_believed_from_its_time_on() -> None:
    """A correction moves the ratio when it is given, and what was believed before stays in the past."""
    table = history.rows(
        messages(("m1", "a@x", 0, "one", False)),
        labels(("m1", False, 5 * DAY), ("m1", True, 3 * DAY)),
        "sender",
    )
    assert told(known(table, "a@x", 3 * DAY))["spam_ratio"] == 2 / 3
    assert told(known(table, "a@x", 5 * DAY))["spam_ratio"] == 1 / 3


def test_of_two_labels_of_one_second_spam_is_believed() -> None:
    """The order in which they were heard does not decide."""
    for given in ([("m1", False, 9), ("m1", True, 9)], [("m1", True, 9), ("m1", False, 9)]):
        table = history.rows(messages(("m1", "a@x", 0, "one", False)), labels(*given), "sender")
        assert told(known(table, "a@x", 2 * DAY))["spam_ratio"] == 2 / 3


def test_a_label_without_its_message_makes_no_history() -> None:
    """It waits in the log for the message."""
    assert history.rows(messages(), labels(("m1", True, 0)), "sender").empty


def test_an_empty_domain_makes_no_history() -> None:
    """Senders without a domain would otherwise share one history."""
    assert history.rows(messages(("m1", "postmaster", 0, "one", False)), labels(), "domain").empty


def test_rows_equal_a_recount_of_everything_known() -> None:
    """Each row equals what a slow count over all events known at its time gives; order does not matter."""
    dice = random.Random(7)
    facts = [
        (
            f"m{i}",
            f"s{dice.randrange(6)}@d{dice.randrange(3)}",
            dice.randrange(40) * 3600,
            f"t{dice.randrange(4)}",
            dice.random() < 0.4,
        )
        for i in range(150)
    ]
    given = [(f"m{dice.randrange(150)}", dice.random() < 0.5, dice.randrange(90) * 3600) for _ in range(200)]
    given = list({(name, time): (name, spam, time) for name, spam, time in given}.values())
    table = history.rows(messages(*facts), labels(*given), "sender")
    shuffled = history.rows(
        messages(*dice.sample(facts, len(facts))), labels(*dice.sample(given, len(given))), "sender"
    )
    pd.testing.assert_frame_equal(table, shuffled)
    assert len(table) > 150
    for row in table.to_dict("records"):
        assert row == recount(facts, given, row["sender"], row["time"] - START)


def recount(
    facts: list[tuple[str, str, int, str, bool]], given: list[tuple[str, bool, int]], sender: str, at: int
) -> dict[str, Any]:
    """Counts anew, from the definition, what is known of `sender` at one instant."""
    mine = [fact for fact in facts if fact[1] == sender and fact[2] + 1 <= at]
    spam = labelled = 0
    for name, _, time, _, _ in mine:
        said = [
            (label_time, is_spam)
            for message, is_spam, label_time in given
            if message == name and max(label_time, time + LABEL_DELAY_SECONDS) <= at
        ]
        if said:
            labelled += 1
            spam += max(said)[1]
    times = [time for _, _, time, _, _ in mine]
    return {
        "sender": sender,
        "time": START + at,
        "message_count": len(mine),
        "spam_ratio": (spam + 1) / (labelled + 2),
        "subject_count": len({subject for _, _, _, subject, _ in mine}),
        "link_rate": sum(link for *_, link in mine) / len(mine),
        "days_known": (max(times) - min(times)) / DAY,
    }
