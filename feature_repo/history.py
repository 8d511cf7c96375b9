"""Events to history: what was known of a sender, or of a domain, from each instant on. Pure.

A message is known `VISIBLE_AFTER_SECONDS` after its event time, so that no message sees itself or another
of the same second. A label is known `LABEL_DELAY_SECONDS` after its message's event time, or when it was
given if that is later. At each instant at which something became known there is one row, and it depends on
nothing that became known later: a label that comes tomorrow changes no row of today.
"""

from typing import Final, Literal

import pandas as pd

from contracts.features import LABEL_DELAY_SECONDS

VISIBLE_AFTER_SECONDS: Final = 1
SECONDS_PER_DAY: Final = 86_400

Key = Literal["sender", "domain"]

MESSAGE_COLUMNS: Final = ("message_id", "sender", "domain", "time", "subject_hash", "has_link")
LABEL_COLUMNS: Final = ("message_id", "is_spam", "time")
ROW_COLUMNS: Final = (
    "time",
    "message_count",
    "spam_ratio",
    "subject_count",
    "link_rate",
    "days_known",
)


def rows(messages: pd.DataFrame, labels: pd.DataFrame, key: Key) -> pd.DataFrame:
    """Returns the history by `key`: columns `key` and ROW_COLUMNS, in order of key and time.

    `messages` has MESSAGE_COLUMNS with each `message_id` once; `labels` has LABEL_COLUMNS, and any number of
    them for a message. `time` is in seconds since 1970, UTC. Empty keys make no history.

    Ratio: (spam + 1) / (labelled + 2), Laplace's rule of succession.
    """
    known = messages[messages[key] != ""]
    changes = pd.concat([_message_changes(known, key), _label_changes(known, labels, key)])
    # Within one second the order does not matter: only the sum at its end becomes a row.
    changes = changes.sort_values([key, "time"], kind="stable", ignore_index=True)
    entity = changes.groupby(key, sort=False)
    counts = entity[["messages", "subjects", "links", "labelled", "spam"]].cumsum()
    # A label never comes before its message, so the first change of an entity is a message.
    first = entity["event_time"].transform("first")
    latest = entity["event_time"].cummax()
    history = pd.DataFrame(
        {
            key: changes[key],
            "time": changes["time"],
            "message_count": counts["messages"],
            "spam_ratio": (counts["spam"] + 1) / (counts["labelled"] + 2),
            "subject_count": counts["subjects"],
            "link_rate": counts["links"] / counts["messages"],
            "days_known": (latest - first) / SECONDS_PER_DAY,
        }
    )
    return history.drop_duplicates([key, "time"], keep="last", ignore_index=True)


def _message_changes(messages: pd.DataFrame, key: Key) -> pd.DataFrame:
    ordered = messages.sort_values([key, "time", "message_id"], ignore_index=True)
    return pd.DataFrame(
        {
            key: ordered[key],
            "time": ordered["time"] + VISIBLE_AFTER_SECONDS,
            "event_time": ordered["time"],
            "messages": 1,
            "subjects": (~ordered.duplicated([key, "subject_hash"])).astype("int64"),
            "links": ordered["has_link"].astype("int64"),
            "labelled": 0,
            "spam": 0,
        }
    )


def _label_changes(messages: pd.DataFrame, labels: pd.DataFrame, key: Key) -> pd.DataFrame:
    """A message's first label adds one to the labelled; each later one only moves the spam count.

    Of two labels given in the same second spam stands last, and so wins: the order of hearing cannot matter.
    """
    given = labels.merge(messages[["message_id", key, "time"]], on="message_id", suffixes=("", "_of_message"))
    given = given.sort_values(["message_id", "time", "is_spam"], ignore_index=True)
    spam = given["is_spam"].astype("int64")
    former = spam.groupby(given["message_id"], sort=False).shift()
    return pd.DataFrame(
        {
            key: given[key],
            "time": given["time"].clip(lower=given["time_of_message"] + LABEL_DELAY_SECONDS),
            "event_time": given["time_of_message"],
            "messages": 0,
            "subjects": 0,
            "links": 0,
            "labelled": former.isna().astype("int64"),
            "spam": (spam - former.fillna(0)).astype("int64"),
        }
    )
