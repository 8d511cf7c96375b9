"""Where Feast reads history offline: two Parquet files, written whole by `feature_repo/offline_files.py`."""

from pathlib import Path
from typing import Final

from feature_repo.feast_names import FileSource
from kit.home import Home

TIMESTAMP: Final = "event_timestamp"
"""When a row became known, timestamp[ns, UTC]."""


def sender_path(home: Home) -> Path:
    """Returns where the history of senders lies."""
    return home.features / "sender_history.parquet"


def domain_path(home: Home) -> Path:
    """Returns where the history of sender domains lies."""
    return home.features / "domain_history.parquet"


def sender_source(home: Home) -> FileSource:
    """Returns the source of the sender view."""
    return FileSource(name="sender_history_file", path=str(sender_path(home)), timestamp_field=TIMESTAMP)


def domain_source(home: Home) -> FileSource:
    """Returns the source of the domain view."""
    return FileSource(name="domain_history_file", path=str(domain_path(home)), timestamp_field=TIMESTAMP)
