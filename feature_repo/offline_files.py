"""The history files that Feast reads offline, one for senders and one for domains: whole or not at all."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from contracts.features import Feature
from feature_repo import history
from feature_repo.event_log import Events
from feature_repo.sources import TIMESTAMP, domain_path, sender_path
from feature_repo.views import DOMAIN_COLUMNS, SENDER_COLUMNS
from kit.files import replaced
from kit.home import Home


class Side(NamedTuple):
    """One of the two histories: its entity, its numbers, its file, and its column in the event log."""

    entity: str
    columns: tuple[Feature, ...]
    path: Callable[[Home], Path]
    key: history.Key


SIDES: Final = (
    Side("sender", SENDER_COLUMNS, sender_path, "sender"),
    Side("sender_domain", DOMAIN_COLUMNS, domain_path, "domain"),
)


def computed(events: Events, side: Side) -> pd.DataFrame:
    """Returns the history of one side as its file holds it: entity, event_timestamp, and its numbers."""
    rows = history.rows(events.messages, events.labels, side.key)
    table = pd.DataFrame(
        {
            side.entity: rows[side.key].astype("str"),
            TIMESTAMP: pd.to_datetime(rows["time"], unit="s", utc=True).astype("datetime64[ns, UTC]"),
        }
    )
    for feature in side.columns:
        _, _, name = feature.name.partition("_")
        table[feature.name] = rows[name].astype("int64" if feature.dtype == "count" else "float64")
    return table


def spliced(former: pd.DataFrame, anew: pd.DataFrame, side: Side, affected: Iterable[str]) -> pd.DataFrame:
    """Returns `former` with the rows of the `affected` entities taken from `anew`, in order."""
    affected = set(affected)
    kept = former[~former[side.entity].isin(affected)]
    table = pd.concat([kept, anew[anew[side.entity].isin(affected)]], ignore_index=True)
    return table.sort_values([side.entity, TIMESTAMP], ignore_index=True)


def read(home: Home, side: Side) -> pd.DataFrame | None:
    """Returns the history of one side, or None if none was ever written."""
    path = side.path(home)
    return pd.read_parquet(path) if path.exists() else None


def write(home: Home, side: Side, table: pd.DataFrame) -> None:
    """Writes the history of one side in one step."""
    with replaced(side.path(home)) as part:
        table.to_parquet(part, index=False)


def newest(table: pd.DataFrame, side: Side, until: pd.Timestamp) -> pd.DataFrame:
    """Returns for each entity its last row that was known at `until`."""
    return table[table[TIMESTAMP] <= until].drop_duplicates(side.entity, keep="last")
