"""What sender history costs: a lookup online, a push, and the training retrieval, on the real corpus."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from prometheus_client import CollectorRegistry

from contracts import corpus as column
from feature_repo.addresses import address
from feature_repo.corpus_events import corpus_path
from feature_repo.events import message_event
from feature_repo.materialization import materialize
from feature_repo.offline import historical_numbers
from feature_repo.online import SenderLookup
from feature_repo.push import push
from feature_repo.redis_server import redis_server
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import SenderStore, open_store
from kit import logs
from kit.benchmark import Figure
from kit.errors import UsageError
from kit.home import Home

_REPEATS: Final = 400
_BATCHES: Final = (1, 32)
_PEER: Final = "feast get_online_features"


def lookup(home: Home, *, repeats: int = _REPEATS) -> list[Figure]:
    """Returns the figures of SQLite and of a Redis started for this; the stores of `home` are not touched.

    Each lookup is asked `repeats` times.

    Raises:
        UsageError: there is no corpus yet.
        RedisMissing: no Redis can be started.
    """
    if not corpus_path(home).exists():
        raise UsageError("There is no corpus to measure on.", next_step="Run `sluice data fetch` first.")
    logs.configure(level="WARNING")  # each push tells what it did, and the figures go to standard output
    rows = pq.read_table(corpus_path(home), columns=[column.SENDER, column.DATE]).to_pydict()
    senders, dates = rows[column.SENDER], rows[column.DATE]
    figures: list[Figure] = []
    for kind in ("sqlite", "redis"):
        with _filled(home, kind) as store:
            figures += [_lookup_figure(store, kind, senders, size, repeats) for size in _BATCHES]
            if kind == "sqlite":
                start = time.perf_counter()
                historical_numbers(store, senders, dates)
                figures.append(
                    Figure(f"point-in-time join, {len(senders):,} messages", time.perf_counter() - start, "s")
                )
            figures.append(_push_figure(store, kind))
    return figures


def _lookup_figure(store: SenderStore, kind: str, senders: list[str], size: int, repeats: int) -> Figure:
    at = datetime(2002, 12, 1, tzinfo=UTC)
    ours = SenderLookup(store, CollectorRegistry())
    service = store.feast.get_feature_service(store.service.name)
    own: list[float] = []
    peer: list[float] = []
    for repeat in range(repeats):
        batch = [senders[(repeat * size + index) % len(senders)] for index in range(size)]
        own.append(_seconds(partial(ours.lookup, batch, at)))
        keys = [address(sender) for sender in batch]
        entities = [{"sender": key.sender, "sender_domain": key.domain} for key in keys]
        peer.append(_seconds(partial(_plain, store, service, entities)))
    return Figure(
        name=f"sender lookup, {kind}, {size} sender{'s' if size > 1 else ''}, median",
        value=statistics.median(own) * 1e6,
        unit="µs",
        peer=_PEER,
        ratio=statistics.median(own) / statistics.median(peer),
        note=f"p99 {statistics.quantiles(own, n=100)[98] * 1e6:,.0f} µs; the peer checks no age",
    )


def _plain(store: SenderStore, service: Any, entities: list[dict[str, str]]) -> object:
    return store.feast.get_online_features(features=service, entity_rows=entities).to_dict()


def _push_figure(store: SenderStore, kind: str) -> Figure:
    times = []
    now = datetime.now(UTC)
    for repeat in range(10):
        event = message_event(
            message_id=f"{repeat:064x}",
            sender="bench@example.org",
            at=now - timedelta(seconds=60 - repeat),
            subject=str(repeat),
            has_link=False,
        )
        times.append(_seconds(partial(push, store, [event] if event else [], now=now)))
    return Figure(f"push of one message, {kind}, median", statistics.median(times) * 1e3, "ms")


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@contextmanager
def _filled(home: Home, kind: str) -> Iterator[SenderStore]:
    """Yields a store of its own, in a folder that vanishes, filled from the corpus of `home`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-lookup-")))
        values: dict[str, str] = {"online_store": kind}
        if kind == "redis":
            values["redis_connection"] = stack.enter_context(redis_server(folder))
        (folder / "corpus").symlink_to(home.corpus, target_is_directory=True)
        store = open_store(Home(folder), FeatureRepoSettings.load(**values))
        materialize(store, datetime.now(UTC))
        yield store
