"""Sender history for training: what was known of each sender at the time of each message."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from feature_repo import offline_files
from feature_repo.addresses import address
from feature_repo.offline_files import SIDES, Side
from feature_repo.online_rows import view
from feature_repo.sender_numbers import sender_numbers
from feature_repo.sources import TIMESTAMP
from feature_repo.store import SenderStore
from kit.errors import OperationalError

_ROWS_PER_QUERY: Final = 2000
"""Feast's file store joins each question with every row of its sender before it chooses: this bounds it."""


class HistoryMissing(OperationalError):
    """Training asked for sender history before any was made."""

    code = "sender_history_missing"
    title = "There is no sender history yet"


def historical_numbers(
    store: SenderStore, senders: Sequence[str], at: Sequence[datetime | None]
) -> NDArray[np.float32]:
    """Returns the 8 sender numbers of each From address at its instant, float32 [N, 8].

    They come from Feast's point-in-time join: nothing that became known after `at` is in them. A message
    without a sender, or without a time to believe, gets the defaults.

    Raises:
        HistoryMissing: `sluice features materialize` was never run here.
    """
    asked = pd.DataFrame(
        [address(sender) for sender in senders], columns=["sender", "sender_domain"], dtype="object"
    )
    asked[TIMESTAMP] = pd.to_datetime(pd.Series(list(at), dtype="object"), utc=True).astype(
        "datetime64[ns, UTC]"
    )
    numbers = [_numbers(store, side, asked) for side in SIDES]
    return sender_numbers(np.hstack(numbers))


def _numbers(store: SenderStore, side: Side, asked: pd.DataFrame) -> NDArray[np.float64]:
    """Returns the stored numbers of one side for each row of `asked`, NaN where nothing was known.

    Each view is asked for itself and not as the feature service: Feast's file store drops a question when all
    rows of its entity are later or too old, and with a new sender it would drop what is known of the domain.
    It also drops all but one of the questions with equal keys and time, so each is asked once.
    """
    table = offline_files.read(store.home, side)
    if table is None:
        raise HistoryMissing(
            "No sender history was made in this home.", next_step="Run `sluice features materialize`."
        )
    names = [feature.name for feature in side.columns]
    keys = [side.entity, TIMESTAMP]
    has_history = asked[side.entity].isin(table[side.entity]) & asked[TIMESTAMP].notna()
    questions = asked.loc[has_history, keys].drop_duplicates().sort_values(keys, ignore_index=True)
    references = [f"{view(store, side).name}:{name}" for name in names]
    answers = [
        store.feast.get_historical_features(entity_df=chunk, features=references).to_df()
        for chunk in _chunks(questions)
    ]
    if not answers:
        return np.full((len(asked), len(names)), np.nan)
    joined = asked[keys].merge(pd.concat(answers), on=keys, how="left", validate="m:1")
    return np.asarray(joined[names].to_numpy(dtype="float64"))


def _chunks(questions: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, len(questions), _ROWS_PER_QUERY):
        yield questions.iloc[start : start + _ROWS_PER_QUERY].reset_index(drop=True)
