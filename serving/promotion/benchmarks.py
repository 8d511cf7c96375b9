"""Promotion and rollback under load, from end to end, for `sluice bench`: no request may be lost.

It runs on a copy of the registry in a home of its own, with a Triton and a transformer of its own; the
version that serves, the ledger and the aliases of this machine stay as they are.
"""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contracts import corpus
from contracts.environments import Environment
from contracts.tensors import TRANSFORMER_INPUTS
from kit.benchmark import Figure
from kit.errors import OperationalError, UsageError
from kit.home import Home
from records import model_registry
from records.model_registry import TRACKING_URI
from records.model_versions import Standing
from serving import load
from serving.local import routing
from serving.local.stack import Stack
from serving.promotion.promotion import Request, promote
from serving.promotion.tools import opened
from serving.promotion.traffic import Plan, Seen, watched
from serving.settings import ServingSettings
from serving.transformer import MODEL

RATE: Final = 200.0
SECONDS: Final = 60.0
ROUNDS: Final = 3
_ENVIRONMENT: Final = Environment.STAGING
_MESSAGES: Final = 500


class NothingServes(OperationalError):
    """The version that was promoted has no route."""

    code = "nothing_serves"
    title = "Nothing serves"


def under_load(home: Home) -> list[Figure]:
    """Returns what clients saw at 200 requests a second for 60 s, during three promotions and rollbacks.

    Raises:
        UsageError: there are no two eligible versions, no corpus, or the registry is not of this machine.
        TritonUnavailable: Triton cannot run here.
    """
    first, second = _two_versions(home)
    with tempfile.TemporaryDirectory(prefix="sluice-moves-") as folder, _copied(home, Path(folder)) as own:
        stack = Stack(own, ServingSettings.load())
        stack.start()
        try:
            stack.triton(_ENVIRONMENT)
            promote(opened(own), MODEL, _ENVIRONMENT, first, Request(actor="bench", reason="The first one."))
            route = routing.read(own, _ENVIRONMENT, MODEL)
            if route is None:
                raise NothingServes(f"Version {first} was promoted, and has no route.")
            host = route.url.removeprefix("http://")
            requests = [
                load.post(host, f"/v2/models/{MODEL}/infer", body, {"Content-Type": "application/json"})
                for body in _bodies(home)
            ]
            plan = Plan(own.root, MODEL, _ENVIRONMENT, second, ROUNDS, SECONDS)
            return _figures(asyncio.run(watched(host, requests, plan, rate=RATE)), first)
        finally:
            stack.stop()


def _two_versions(home: Home) -> tuple[str, str]:
    if os.environ.get(TRACKING_URI):
        raise UsageError(
            "Moves are measured on a copy of the registry of this machine, and another one is set.",
            next_step=f"Unset {TRACKING_URI}.",
        )
    found = model_registry.opened(home).versions(MODEL)
    eligible = [version.version for version in found if version.standing is Standing.ELIGIBLE]
    if len(eligible) < 2:  # noqa: PLR2004 - from one to the other
        raise UsageError(
            f"Moving needs two eligible versions of {MODEL}, and there are {len(eligible)}.",
            next_step="Train one: sluice pipeline run",
        )
    return eligible[1], eligible[0]


@contextmanager
def _copied(home: Home, folder: Path) -> Iterator[Home]:
    """Yields a home with a copy of the registry, and makes it this process' own."""
    shutil.copy(home.root / "mlflow.db", folder / "mlflow.db")
    if home.features.is_dir():
        (folder / "features").symlink_to(home.features)
    own = Home(folder)
    before = {name: os.environ.get(name) for name in ("SLUICE_HOME", "RECORDS_URL", "RECORDS_URL_FILE")}
    os.environ["SLUICE_HOME"] = str(folder)
    os.environ.pop("RECORDS_URL", None)
    os.environ.pop("RECORDS_URL_FILE", None)
    try:
        yield own
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _bodies(home: Home) -> list[bytes]:
    """Returns requests of one message each, of the corpus: those that JSON can carry."""
    import pyarrow.parquet as pq

    from feature_repo.corpus_events import corpus_path

    if not corpus_path(home).exists():
        raise UsageError("There is no corpus to measure on.", next_step="Run `sluice data fetch` first.")
    texts = []
    for raw in pq.read_table(corpus_path(home), columns=[corpus.RAW])[corpus.RAW].to_pylist():
        try:
            texts.append(raw.decode())
        except UnicodeDecodeError:
            continue
        if len(texts) == _MESSAGES:
            break
    name = TRANSFORMER_INPUTS[0].name
    tensor = {"name": name, "datatype": "BYTES", "shape": [1]}
    return [json.dumps({"inputs": [tensor | {"data": [text]}]}).encode() for text in texts]


def _figures(seen: Seen, first: str) -> list[Figure]:
    found = load.summary(seen.answers)
    slowest = max(switch.done - switch.begun for switch in seen.switches)
    seconds = len(seen.answers) / RATE
    note = f"{len(seen.switches)} moves in {seconds:.0f} s at {RATE:.0f} requests a second"
    return [
        Figure("requests while moving", found.answers, "", note=note),
        Figure("requests that failed", len(seen.failed), "", aim="0"),
        Figure("answers of a version that was not current", len(seen.foreign(first)), "", aim="0"),
        Figure("time of a request while moving, median", found.p50 * 1000, "ms"),
        Figure("time of a request while moving, p99", found.p99 * 1000, "ms"),
        Figure("slowest switch", slowest, "s"),
    ]
