"""The transformer as a process: its parts put together, uvicorn around them, and a clean end.

The process listens at once and is live; it is ready when the sender store was opened (importing Feast takes
seconds) and a version was verified. SIGTERM ends it when the requests in flight are answered.
"""

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import Any, Final

import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from feature_repo.sender_numbers import SenderHistories
from feature_repo.senders import SenderBudget, Senders
from feature_repo.settings import FeatureRepoSettings
from kit import logs
from kit.errors import UsageError
from kit.home import Home, HomeSettings
from serving.transformer import MODEL
from serving.transformer.answering import Answering
from serving.transformer.app import Transformer
from serving.transformer.extraction_pool import ExtractionPool
from serving.transformer.keeper import Keeper
from serving.transformer.measures import Measures
from serving.transformer.settings import TransformerSettings
from serving.transformer.versions import Target

_MAX_HEAD_BYTES: Final = 64 << 10
_SWITCH_SECONDS: Final = 0.0005
"""A lookup lets go of the interpreter at each step of SQLite, and waits this long to have it back from a busy
loop; with Python's own 5 ms a lookup of half a millisecond took more than 50."""


def settings_of(arguments: Sequence[str]) -> TransformerSettings:
    """Returns the settings of this process; what KServe appends to a transformer's arguments stands above.

    Raises:
        UsageError: an argument is unknown, names another model, or does not go with the others.
    """
    parser = argparse.ArgumentParser(
        prog="python -m serving.transformer", description="The transformer of one environment."
    )
    parser.add_argument("--model_name", default=MODEL, help=f"Must be {MODEL}.")
    parser.add_argument("--predictor_host", help="Host of Triton, in a cluster.")
    parser.add_argument("--http_port", type=int, help="Port to listen on.")
    given = parser.parse_args(arguments)
    if given.model_name != MODEL:
        raise UsageError(f"This is the transformer of {MODEL}, and not of {given.model_name}.")
    values = {"predictor_host": given.predictor_host, "port": given.http_port}
    return TransformerSettings.load(**{name: value for name, value in values.items() if value is not None})


def target_of(settings: TransformerSettings) -> Target | None:
    """Returns the version that the settings name; None if a route names it.

    Raises:
        UsageError: there is neither a route nor all that stands for one, or there are both.
    """
    instead = (settings.bundle, settings.version, settings.predictor_host)
    if settings.route is not None:
        if any(value is not None for value in instead):
            raise UsageError(
                "TRANSFORMER_ROUTE says what is served: leave out the bundle, version and predictor host."
            )
        return None
    if settings.bundle is None or settings.version is None or settings.predictor_host is None:
        raise UsageError(
            "It is not said what is served.",
            next_step="Set TRANSFORMER_ROUTE; or TRANSFORMER_BUNDLE, _VERSION and _PREDICTOR_HOST.",
        )
    # KServe's host brings a port where its own is not the Service's.
    host, _, port = settings.predictor_host.partition(":")
    address = f"{host}:{port or settings.predictor_http_port}"
    return Target(settings.version, settings.bundle, settings.bundle_digest, address)


def application(
    settings: TransformerSettings, target: Target | None, home: Home, features: FeatureRepoSettings
) -> Transformer:
    """Returns the transformer, put together; nothing is opened before the server begins it."""
    measures = Measures()
    keeper = Keeper(settings, target, measures)
    pool = ExtractionPool(settings, features)
    budget = SenderBudget(
        settings.sender_budget_seconds, settings.sender_failures, settings.sender_pause_seconds
    )
    senders = Senders(
        lambda: _sender_lookup(home, features, measures.registry), budget, measures.defaulted_senders
    )

    answering = Answering(keeper, pool, senders, measures)

    async def begin() -> None:
        senders.begin()
        await keeper.start()
        pool.begin()

    async def end() -> None:
        await keeper.close()
        await senders.close()
        answering.close()
        pool.close()

    return Transformer(
        settings=settings,
        keeper=keeper,
        answering=answering,
        senders=senders,
        measures=measures,
        begin=begin,
        end=end,
    )


def serve(arguments: Sequence[str]) -> None:
    """Serves until the process is told to end.

    Raises:
        UsageError: the arguments or the settings make no sense.
    """
    machine = HomeSettings.load()
    logs.configure(level=machine.log_level)
    settings = settings_of(arguments)
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = application(settings, target_of(settings), Home(machine.home), FeatureRepoSettings.load())
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHead,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_seconds),
    )


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, which alone would keep the head of a request however long it grows."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes, self._in_head = 0, True

    def data_received(self, data: bytes) -> None:
        """Takes what came; a head that does not end is the end of its connection."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begins to count."""
        super().on_message_begin()
        self._head_bytes, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        """Ends it."""
        self._in_head = False
        super().on_headers_complete()


def _sender_lookup(home: Home, features: FeatureRepoSettings, registry: CollectorRegistry) -> SenderHistories:
    from feature_repo.online import SenderLookup
    from feature_repo.store import open_store

    lookup = SenderLookup(open_store(home, features), registry).history
    # What was imported stays: the collector need not walk through all of Feast again and again.
    gc.freeze()
    return lookup
