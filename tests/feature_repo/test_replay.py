"""Old mail sent again meets the numbers that training joined: no more is known of a sender, and no less."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from contracts.features import SENDER_FEATURES
from feature_repo.offline import HistoryMissing, historical_numbers
from feature_repo.online import SenderLookup
from feature_repo.push import push
from feature_repo.replay import Arrival, replay
from tests.feature_repo.conftest import MakeStore
from tests.feature_repo.test_skew import push_rows

if TYPE_CHECKING:
    import pyarrow as pa

pytestmark = pytest.mark.xdist_group("feast-skew")
CENTURY_DAYS = 36_500


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_replay_shows_serving_what_training_joined(
    make_store: MakeStore, corpus: "pa.Table", kind: str
) -> None:
    """Each message of a group, looked up today, gets the bits of the join at its own time."""
    store = make_store(kind, history_max_age_days=CENTURY_DAYS)
    mail = corpus.slice(0, 300).to_pylist()
    dated = [row for row in mail if row["date"] is not None]
    push_rows(store, dated, datetime.now(UTC))
    asked = mail[::3]
    arrivals = [Arrival(row["sender"], row["date"]) for row in asked]
    wanted = historical_numbers(store, [one.sender for one in arrivals], [one.at for one in arrivals])
    lookup = SenderLookup(store, CollectorRegistry())
    found = np.full_like(wanted, np.nan)
    groups = 0
    for group in replay(store, arrivals):
        groups += 1
        found[group] = lookup.lookup([arrivals[number].sender for number in group], datetime.now(UTC))
    assert found.tobytes() == wanted.tobytes()
    # Somebody had a history, and it changed on the way: one clearing of the store would not have done.
    counts = found[:, [feature.name for feature in SENDER_FEATURES].index("sender_message_count")]
    assert len(set(counts.tolist())) > 3
    assert groups > 3
    # Afterwards the next writer makes the store anew, as it should be now.
    push(store, [], [])
    known = lookup.lookup([one.sender for one in arrivals], datetime.now(UTC))
    assert (known[:, 0] >= found[:, 0]).all()
    assert known.sum() > found.sum()


def test_without_a_history_there_is_nothing_to_replay(make_store: MakeStore) -> None:
    """It says what to run, before it empties anything."""
    with pytest.raises(HistoryMissing, match="No sender history"):
        next(replay(make_store(), [Arrival("a@example.org", None)]))
