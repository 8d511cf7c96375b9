"""Reading and writing rows of Feast's online store, by the interface that every online store has.

`FeatureStore.get_online_features` looks up registry, service and views for each request and builds a response
message; reading the views directly gives the same values in 0.6 to 0.8 of the time (`sluice bench`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import pandas as pd

from feature_repo.feast_names import EntityKey, FeatureView, Value
from feature_repo.offline_files import Side
from feature_repo.sources import TIMESTAMP
from feature_repo.store import SenderStore, online_store_errors

_ROWS_PER_WRITE: Final = 1000


class Row(NamedTuple):
    """What the online store holds of one entity: since when it is known, and its numbers in view order."""

    since: datetime
    values: tuple[float, ...]


def read(store: SenderStore, side: Side, keys: Sequence[str]) -> list[Row | None]:
    """Returns the row of each key, None where there is none; one request for all keys.

    Raises:
        OnlineStoreUnavailable: the store does not answer, or has no such table.
    """
    names = [feature.name for feature in side.columns]
    with online_store_errors(), store.online_turn:
        found = store.feast.provider.online_read(
            store.feast.config,
            view(store, side),
            [_entity_key(side.entity, key) for key in keys],
            list(names),  # Feast's Redis store appends to the list it is given
        )
    return [_row(since, values, names) for since, values in found]


def write(
    store: SenderStore, side: Side, table: pd.DataFrame, progress: Callable[[int], object] | None = None
) -> None:
    """Writes one row for each entity of `table` (as in the history file), in place of what was there.

    Raises:
        OnlineStoreUnavailable: the store does not answer, or has no such table.
    """
    kinds = {f.name: "int64_val" if f.dtype == "count" else "double_val" for f in side.columns}
    columns = {name: table[name].tolist() for name in kinds}
    rows: list[Any] = [
        (
            _entity_key(side.entity, key),
            {name: Value(**{kind: columns[name][index]}) for name, kind in kinds.items()},
            since.to_pydatetime(),
            None,
        )
        for index, (key, since) in enumerate(zip(table[side.entity], table[TIMESTAMP], strict=True))
    ]
    for start in range(0, len(rows), _ROWS_PER_WRITE):
        batch = rows[start : start + _ROWS_PER_WRITE]
        with online_store_errors(), store.online_turn:
            store.feast.provider.online_write_batch(store.feast.config, view(store, side), batch, None)
        if progress is not None:
            progress(len(batch))


def clear(store: SenderStore) -> None:
    """Empties the online store of our two views; until it is filled again every sender is unknown.

    Raises:
        OnlineStoreUnavailable: the store does not answer.
    """
    views = [store.sender_view, store.domain_view]
    online = store.feast.provider.online_store
    for delete, keep in ((views, []), ([], views)):
        with online_store_errors(), store.online_turn:
            online.update(store.feast.config, delete, keep, [], [], partial=True)


def view(store: SenderStore, side: Side) -> FeatureView:
    """Returns the Feast view of one side."""
    return store.sender_view if side.key == "sender" else store.domain_view


def _entity_key(entity: str, key: str) -> Any:
    return EntityKey(join_keys=[entity], entity_values=[Value(string_val=key)])


def _row(since: datetime | None, values: dict[str, Any] | None, names: Sequence[str]) -> Row | None:
    if since is None or not values:
        return None
    numbers = []
    for name in names:
        value = values.get(name)
        kind = None if value is None else value.WhichOneof("val")
        if kind is None:  # Redis answers an unknown key with empty values
            return None
        numbers.append(float(getattr(value, kind)))
    return Row(since, tuple(numbers))
