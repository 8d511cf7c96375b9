"""The feature stores of this process: Feast built from settings, and what lies beside it.

The configuration is made here in code, not in a `feature_store.yaml`, so that the same settings that
choose SQLite or Redis choose it for every process.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import redis

from feature_repo.entities import SENDER, SENDER_DOMAIN
from feature_repo.feast_names import FeatureService, FeatureStore, FeatureView, RepoConfig
from feature_repo.services import SERVICE_NAME, spam_detector
from feature_repo.settings import FeatureRepoSettings
from feature_repo.views import domain_history, sender_history
from kit.errors import OperationalError
from kit.home import Home

PROJECT: Final = "sluice"
_REGISTRY: Final = "registry.db"


class OnlineStoreUnavailable(OperationalError):
    """The online store of sender features does not answer, or was never set up."""

    code = "sender_store_unavailable"
    title = "The sender feature store does not answer"


@dataclass(frozen=True)
class SenderStore:
    """Feast with our two views, opened for one home and one group of settings; opening touches no store."""

    home: Home
    settings: FeatureRepoSettings
    feast: FeatureStore
    sender_view: FeatureView
    domain_view: FeatureView
    service: FeatureService
    online_turn: AbstractContextManager[object]
    """Held for each access to the online store. Feast keeps one SQLite connection for all threads, on which a
    reader would see half of a write; Redis needs no turns."""

    @property
    def max_age(self) -> timedelta:
        """How old history may be and still count, offline and online."""
        return timedelta(days=self.settings.history_max_age_days)

    @property
    def log_path(self) -> Path:
        """The event log."""
        return self.home.features / "events.db"

    @property
    def lock_path(self) -> Path:
        """The lock of everything that writes features."""
        return self.home.features / "features.lock"

    @property
    def online_name(self) -> str:
        """A name for the online store in use, without its secrets: with another one, all is written anew."""
        if self.settings.online_store == "sqlite":
            return "sqlite"
        address = self.settings.redis_connection.get_secret_value()
        return f"redis-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def open_store(home: Home, settings: FeatureRepoSettings) -> SenderStore:
    """Returns the feature stores of `home`; importing Feast for it takes seconds, so do it once a process."""
    max_age = timedelta(days=settings.history_max_age_days)
    sender_view = sender_history(home, max_age)
    domain_view = domain_history(home, max_age)
    return SenderStore(
        home=home,
        settings=settings,
        feast=FeatureStore(config=_configuration(home, settings)),
        sender_view=sender_view,
        domain_view=domain_view,
        service=spam_detector(sender_view, domain_view),
        online_turn=threading.Lock() if settings.online_store == "sqlite" else nullcontext(),
    )


def apply(store: SenderStore) -> None:
    """Registers entities, views and service, and makes the online tables; doing it again changes nothing.

    Raises:
        OnlineStoreUnavailable: the online store does not answer.
    """
    store.home.features.mkdir(parents=True, exist_ok=True)
    with online_store_errors():
        _write_ahead(store.home.features / _REGISTRY)
        if store.settings.online_store == "sqlite":
            _write_ahead(_online_path(store.home))
        store.feast.apply([SENDER, SENDER_DOMAIN, store.sender_view, store.domain_view, store.service])


def is_applied(store: SenderStore) -> bool:
    """Returns whether the feature service is registered, as `apply` does; asking makes no registry."""
    if not (store.home.features / _REGISTRY).exists():
        return False
    return any(service.name == SERVICE_NAME for service in store.feast.list_feature_services())


@contextmanager
def online_store_errors() -> Iterator[None]:
    """Turns what SQLite and Redis raise inside the block into `OnlineStoreUnavailable`."""
    try:
        yield
    except sqlite3.Error as exc:
        raise OnlineStoreUnavailable(
            "The SQLite store of sender features cannot be read or written.",
            next_step="Run `sluice features materialize`; if it is at work in another process, try again.",
        ) from exc
    except (redis.exceptions.RedisError, OSError) as exc:
        raise OnlineStoreUnavailable(
            "The store of sender features does not answer.",
            next_step="Check that Redis runs and what FEATURE_REPO_REDIS_CONNECTION says.",
        ) from exc


def _write_ahead(path: Path) -> None:
    """Makes readers of a SQLite file not wait for its writer; the mode stays with the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _online_path(home: Home) -> Path:
    return home.features / "online.db"


def _configuration(home: Home, settings: FeatureRepoSettings) -> RepoConfig:
    return RepoConfig(
        project=PROJECT,
        provider="local",
        # SQL, because Feast writes a file registry in place: a reader may then see half of it.
        registry={
            "registry_type": "sql",
            "path": f"sqlite:///{home.features / _REGISTRY}",
            "serve_features_while_materializing": True,
        },
        offline_store={"type": "file"},
        online_store=_online_configuration(home, settings),
        entity_key_serialization_version=3,
    )


def _online_configuration(home: Home, settings: FeatureRepoSettings) -> dict[str, Any]:
    if settings.online_store == "sqlite":
        return {"type": "sqlite", "path": str(_online_path(home))}
    connection = settings.redis_connection.get_secret_value()
    # Left alone the client tries three times more, seconds apart; a lookup must rather fail at once.
    limits = {
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "retry": "null",
    }
    for option, value in limits.items():
        if f",{option}=" not in connection:
            connection += f",{option}={value}"
    # Feast's check would skip a row whose time did not move, but a message that comes late corrects the
    # numbers of a row and leaves its time. Our lock orders the writers instead.
    return {"type": "redis", "connection_string": connection, "skip_dedup": True}
