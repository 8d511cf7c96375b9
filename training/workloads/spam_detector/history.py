"""Sender history of a corpus, each message as of its own date, from Feast."""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contracts import corpus as column
from feature_repo import event_log
from feature_repo.addresses import address
from feature_repo.offline import HistoryMissing, historical_numbers
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import SenderStore, open_store
from kit.errors import OperationalError
from kit.home import Home

_NEXT_STEP: Final = "Run: sluice features materialize"


class HistoryStale(OperationalError):
    """The sender history was made of another corpus than the one that is to be trained on."""

    code = "sender_history_stale"
    title = "Sender history is out of date"


def sender_numbers_of(corpus: pa.Table, home: Home, settings: FeatureRepoSettings) -> NDArray[np.float32]:
    """Returns the 8 sender numbers of each message as they were known at its date, float32 [N, 8].

    Raises:
        HistoryMissing: no history was ever made here.
        HistoryStale: messages of the corpus are not in it; their senders would pass for unknown.
    """
    store = open_store(home, settings)
    senders, dates = corpus[column.SENDER].to_pylist(), corpus[column.DATE].to_pylist()
    if not store.log_path.exists():
        raise HistoryMissing("No sender history was made in this home.", next_step=_NEXT_STEP)
    events = {
        identity
        for identity, sender, date in zip(corpus[column.SHA256].to_pylist(), senders, dates, strict=True)
        if date is not None and address(sender)[0]
    }
    absent = len(events - _known(store))
    if absent:
        raise HistoryStale(
            f"{absent} of {len(events)} messages of the corpus are not in the sender history.",
            next_step=_NEXT_STEP,
        )
    return historical_numbers(store, senders, dates)


def _known(store: SenderStore) -> set[str]:
    with event_log.opened(store.log_path) as log:
        return set(log.events().messages["message_id"])
