"""What the scorer and the Triton of the wheel cost, each against a plain loop over ONNX Runtime.

Measured on the reference workload: its corpus, and the newest version that the registry of this home holds.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from contracts import corpus as column
from contracts.tensors import SPAM_DETECTOR
from feature_repo.settings import FeatureRepoSettings
from kit.benchmark import Figure
from kit.bundle import Bundle
from kit.errors import UsageError
from kit.home import Home
from kit.onnx_function import OnnxFunction
from serving.extraction import Extracted, extract_raw, model_inputs
from serving.model_repository import Layout, add_version, write_config
from serving.runtimes.triton import Triton, running
from serving.scorer import Scorer

_SINGLE: Final = 1000
_BATCH: Final = 64
_TRITON_BATCH: Final = 32
_MILLI: Final = 1e3
_MEGA: Final = 1e6
_VERSION: Final = "1"
_LOOP: Final = "ONNX Runtime in a loop"
"""On features that are extracted already."""

Inputs = dict[str, Any]


def scorer(home: Home) -> list[Figure]:
    """Returns what one e-mail and a batch cost in one process, from raw bytes; senders are not looked up.

    Raises:
        UsageError: there is no corpus, or no model version.
    """
    messages, bundle = _corpus(home), _newest(home)
    settings, now = FeatureRepoSettings.load(), datetime.now(UTC)
    ours = Scorer(bundle, settings)
    some = messages[:: max(1, len(messages) // _SINGLE)]
    extracted = [extract_raw(raw, settings) for raw in messages]
    alone = _median([partial(ours.score, [raw], now) for raw in some])
    loop = _median(_asked_of(OnnxFunction(bundle.model.read_bytes()), extracted, some=len(some)))
    rate = _rate(len(messages), lambda at: ours.score(messages[at : at + _BATCH], now), _BATCH)
    graph = OnnxFunction(bundle.model.read_bytes())
    plain = _rate(len(messages), lambda at: graph(model_inputs(extracted[at : at + _BATCH])), _BATCH)
    first = ours.score(some[:1], now)
    ours.explained(first)
    why = _median([partial(ours.explained, first)] * 50)
    return [
        Figure("one raw e-mail, median", alone * _MILLI, "ms", peer=_LOOP, ratio=alone / loop),
        Figure(
            f"raw e-mails in batches of {_BATCH}, one core", rate, "emails/s", peer=_LOOP, ratio=rate / plain
        ),
        Figure("one explanation, median", why * _MILLI, "ms"),
    ]


def triton(home: Home) -> list[Figure]:
    """Returns the time to start Triton, its memory, and the time of one row and of a batch over gRPC.

    Raises:
        UsageError: there is no corpus, or no model version.
        TritonUnavailable: Triton cannot run here.
    """
    settings = FeatureRepoSettings.load()
    messages, bundle = _corpus(home), _newest(home)
    extracted = [extract_raw(raw, settings) for raw in messages[:: max(1, len(messages) // _SINGLE)]]
    graph = OnnxFunction(bundle.model.read_bytes())
    loop = _median(_asked_of(graph, extracted, some=len(extracted)))
    plain = _rate(
        len(extracted), lambda at: graph(model_inputs(extracted[at : at + _TRITON_BATCH])), _TRITON_BATCH
    )
    with tempfile.TemporaryDirectory(prefix="sluice-triton-") as name:
        repository = Path(name) / "repository"
        add_version(repository, bundle, _VERSION, Layout.PYTHON)
        write_config(repository, bundle.contract, [_VERSION], Layout.PYTHON)
        begun = time.perf_counter()
        with running(repository, {bundle.contract.workload: _VERSION}) as server:
            started = time.perf_counter() - begun
            with closing(_client(server)) as client:
                requests = list(_requests(bundle, extracted, 1))
                alone = _median([partial(_infer, client, bundle, sent) for sent in requests])
                batches = list(_requests(bundle, extracted, _TRITON_BATCH))
                rate = _rate(len(batches), lambda at: _infer(client, bundle, batches[at]), 1)
            memory = _resident(server.pid)
    rate *= len(extracted) / len(batches)
    return [
        Figure("start until the model is ready by name", started, "s"),
        Figure("resident memory: server", memory[0] / _MEGA, "MB"),
        Figure(
            "resident memory: a process of the model", memory[1] / _MEGA, "MB", note="two for each version"
        ),
        Figure("one row over gRPC, median", alone * _MILLI, "ms", peer=_LOOP, ratio=alone / loop),
        Figure(
            f"batches of {_TRITON_BATCH} over one connection", rate, "rows/s", peer=_LOOP, ratio=rate / plain
        ),
    ]


def _corpus(home: Home) -> list[bytes]:
    import pyarrow.parquet as pq

    from feature_repo.corpus_events import corpus_path

    if not corpus_path(home).exists():
        raise UsageError("There is no corpus to measure on.", next_step="Run `sluice data fetch` first.")
    raws: list[bytes] = pq.read_table(corpus_path(home), columns=[column.RAW])[column.RAW].to_pylist()
    return raws


def _newest(home: Home) -> Bundle:
    from records.bundles import fetched
    from records.model_registry import opened

    registry = opened(home)
    versions = registry.versions(SPAM_DETECTOR)
    if not versions:
        raise UsageError(
            f"There is no version of {SPAM_DETECTOR} to measure.",
            next_step="Run `sluice pipeline run` first.",
        )
    newest = max((version.version for version in versions), key=int)
    return fetched(registry, home, SPAM_DETECTOR, newest)


def _asked_of(graph: OnnxFunction, rows: Sequence[Extracted], some: int) -> list[Callable[[], object]]:
    """Returns one call for each of `some` rows, whose inputs are made already."""
    inputs = [model_inputs([row]) for row in rows[:: max(1, len(rows) // some)]]
    return [partial(graph, row) for row in inputs]


def _median(calls: Sequence[Callable[[], object]]) -> float:
    """Returns the median time of the calls in seconds, after the first ones that warm up."""
    for call in calls[:20]:
        call()
    times = []
    for call in calls:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _rate(count: int, part: Callable[[int], object], step: int) -> float:
    """Returns how many of `count` are done in a second, `step` at a time."""
    part(0)
    begun = time.perf_counter()
    for at in range(0, count, step):
        part(at)
    return count / (time.perf_counter() - begun)


def _client(server: Triton) -> Any:
    import tritonclient.grpc

    return tritonclient.grpc.InferenceServerClient(server.grpc)


def _requests(bundle: Bundle, rows: Sequence[Extracted], size: int) -> Iterator[list[Any]]:
    import tritonclient.grpc

    for at in range(0, len(rows), size):
        inputs: Inputs = dict(model_inputs(rows[at : at + size]))
        sent = []
        for tensor in bundle.contract.inputs:
            values = inputs[tensor.name]
            sent.append(tritonclient.grpc.InferInput(tensor.name, list(values.shape), tensor.datatype))
            sent[-1].set_data_from_numpy(np.ascontiguousarray(values))
        yield sent


def _infer(client: Any, bundle: Bundle, sent: list[Any]) -> Any:
    return client.infer(bundle.contract.workload, sent, model_version=_VERSION)


def _resident(pid: int) -> tuple[float, float]:
    """Returns the resident bytes of the server, and the median of its models' processes."""
    import psutil

    server = psutil.Process(pid)
    return server.memory_info().rss, statistics.median(
        child.memory_info().rss for child in server.children(recursive=True)
    )
