"""What the transformer costs and whether it tells the truth, on the real corpus, before a real Triton.

The peer is KServe's own Python model server with the same extraction and lookup in it, before the same
Triton in the same run. The load generator shares the cores with what it measures.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from contracts import corpus as column
from contracts.environments import Environment
from contracts.headers import INFERENCE_HEADER_LENGTH, TIMEOUT_MS
from contracts.routes import Route
from kit.benchmark import Figure
from kit.bundle import Bundle
from kit.errors import OperationalError, UsageError
from kit.files import write_text
from kit.home import Home
from kit.onnx_function import OnnxFunction
from serving import load, model_repository
from serving.model_repository import Layout
from serving.runtimes import triton as runtime
from serving.transformer import MODEL, launch

CONNECTIONS: Final = (1, 16, 64)
_REQUESTS: Final = 3000
_PEER_REQUESTS: Final = 600
_WARM: Final = 300
_PARITY_BATCH: Final = 64
_START_SECONDS: Final = 300.0
_PATH: Final = f"/v2/models/{MODEL}/infer"
_PEER: Final = "KServe's Python model server"
_RATE_AIMS: Final = {16: "> 900"}
_P50_AIM: Final = "< 2.5"
"""Of one connection, in milliseconds: nobody else asks meanwhile, so that it is what one e-mail takes."""


def transformer(home: Home) -> list[Figure]:
    """Returns parity over the corpus of `home`, rates at 1, 16 and 64 connections, time to start and memory.

    The newest version of the registry is measured, in a Triton and a transformer started for it.

    Raises:
        UsageError: there is no corpus, or no version.
        TritonUnavailable: Triton cannot run here.
    """
    messages, bundle = corpus(home), newest(home)
    with tempfile.TemporaryDirectory(prefix="sluice-transformer-") as name:
        folder = Path(name)
        repository = folder / "repository"
        model_repository.add_version(repository, bundle, "1", Layout.PYTHON)
        model_repository.write_config(repository, bundle.contract, ["1"], Layout.PYTHON)
        with runtime.running(repository, {MODEL: "1"}) as triton:
            route = Route(
                model=MODEL, environment=Environment.STAGING, version="1", bundle=bundle.folder,
                bundle_digest=bundle.digest, triton_http=triton.http, triton_grpc=triton.grpc,
                url="http://127.0.0.1", transformer=True, since=datetime.now(UTC),
            )  # fmt: skip
            write_text(folder / "route.json", route.model_dump_json())
            port = runtime.free_ports().http
            how = launch.command(folder / "route.json", port=port)
            begun = time.perf_counter()
            with _process(how.arguments, how.environment, home, folder / "transformer.log", port) as ours:
                figures = [Figure("start of the transformer until ready", time.perf_counter() - begun, "s")]
                figures += _parity(home, bundle, messages, port)
                own = _rates(messages, port, _REQUESTS)
                figures += _memory({"transformer": ours.pid, "Triton": triton.pid})
            peer_port = runtime.free_ports().http
            peer = (
                sys.executable, "-m", "serving.peers.kserve_transformer",
                str(peer_port), triton.http, str(home.root),
            )  # fmt: skip
            with _process(peer, {}, home, folder / "peer.log", peer_port):
                theirs = _rates(messages, peer_port, _PEER_REQUESTS)
        return figures + figures_of(own, theirs)


def corpus(home: Home) -> list[bytes]:
    """Returns every raw e-mail of the corpus of `home`.

    Raises:
        UsageError: there is none.
    """
    import pyarrow.parquet as pq

    from feature_repo.corpus_events import corpus_path

    if not corpus_path(home).exists():
        raise UsageError("There is no corpus to measure on.", next_step="Run `sluice data fetch` first.")
    messages: list[bytes] = pq.read_table(corpus_path(home), columns=[column.RAW])[column.RAW].to_pylist()
    return messages


def newest(home: Home) -> Bundle:
    """Returns the bundle of the newest version in the registry of `home`.

    Raises:
        UsageError: there is no version.
    """
    from records import model_registry
    from records.bundles import fetched

    registry = model_registry.opened(home)
    versions = registry.versions(MODEL)
    if not versions:
        raise UsageError(f"There is no version of {MODEL}.", next_step="Run `sluice pipeline run` first.")
    return fetched(registry, home, MODEL, max((one.version for one in versions), key=int))


def _parity(home: Home, bundle: Bundle, messages: Sequence[bytes], port: int) -> list[Figure]:
    """Asks the whole corpus through the wire and holds every answer against the bundle's own graph."""
    from prometheus_client import CollectorRegistry

    from feature_repo.online import SenderLookup
    from feature_repo.settings import FeatureRepoSettings
    from feature_repo.store import open_store
    from serving.extraction import extract_raw, model_inputs

    settings = FeatureRepoSettings.load()
    lookup = SenderLookup(open_store(home, settings), CollectorRegistry())
    extracted = [extract_raw(message, settings) for message in messages]
    inputs = model_inputs(extracted, lookup.lookup([one.sender for one in extracted], datetime.now(UTC)))
    wanted = OnnxFunction(bundle.model.read_bytes())(inputs)
    labels, probabilities, numbers = [], [], []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        for at in range(0, len(messages), _PARITY_BATCH):
            body, length = _body(messages[at : at + _PARITY_BATCH], ("label", "probability", "numeric"))
            answer = client.post(_PATH, content=body, headers=_headers(length))
            answer.raise_for_status()
            label, probability, numeric = (tensor["data"] for tensor in answer.json()["outputs"])
            labels += label
            probabilities += probability
            numbers += numeric
    differences = np.abs(np.array(probabilities, np.float32) - wanted["probabilities"][:, -1])
    other = int((np.array(labels) != wanted["label"]).sum())
    same = np.array_equal(np.array(numbers, np.float32).reshape(len(messages), -1), inputs["numeric"])
    note = f"{len(messages):,} e-mails through the wire; the 24 numbers are {'' if same else 'NOT '}equal"
    return [
        Figure("corpus against the bundle's graph, labels that differ", other, "e-mails", aim="0", note=note),
        Figure("corpus against the bundle's graph, max |Δp|", float(differences.max()), "", aim="≤ 1e-6"),
    ]


def _rates(messages: Sequence[bytes], port: int, count: int) -> dict[int, load.Summary]:
    host = f"127.0.0.1:{port}"
    requests = []
    for message in messages:
        body, length = _body([message], ())
        requests.append(load.post(host, _PATH, body, _headers(length)))

    async def measured() -> dict[int, load.Summary]:
        await load.closed_loop(host, requests, connections=4, count=_WARM)
        return {
            connections: load.summary(
                await load.closed_loop(host, requests, connections=connections, count=count)
            )
            for connections in CONNECTIONS
        }

    try:
        import uvloop
    except ImportError:
        return asyncio.run(measured())
    return uvloop.run(measured())


def figures_of(own: Mapping[int, load.Summary], theirs: Mapping[int, load.Summary]) -> list[Figure]:
    """Returns the time of an e-mail at one connection and the rates at all, from summaries by connections."""
    figures = [
        Figure(
            name="transformer and Triton, 1 connection, p50",
            value=own[1].p50 * 1e3,
            unit="ms",
            aim=_P50_AIM,
            peer=_PEER,
            ratio=own[1].p50 / theirs[1].p50,
            note=f"p99 {own[1].p99 * 1e3:.1f} ms; peer p50 {theirs[1].p50 * 1e3:.2f} ms",
        )
    ]
    for connections in CONNECTIONS:
        ours, peer = own[connections], theirs[connections]
        figures.append(
            Figure(
                name=f"transformer and Triton, {connections} connection{'s' if connections > 1 else ''}",
                value=ours.per_second,
                unit="e-mails/s",
                aim=_RATE_AIMS.get(connections),
                peer=_PEER,
                ratio=ours.per_second / peer.per_second,
                note=f"p50 {ours.p50 * 1e3:.2f} ms, p99 {ours.p99 * 1e3:.1f} ms, {ours.failures} failures; "
                f"peer {peer.per_second:.0f}/s, p50 {peer.p50 * 1e3:.2f} ms, {peer.failures} failures",
            )
        )
    return figures


def _memory(processes: Mapping[str, int]) -> list[Figure]:
    import psutil

    figures = []
    for name, pid in processes.items():
        process = psutil.Process(pid)
        children = [one.memory_info().rss for one in process.children(recursive=True)]
        note = f"and {len(children)} child processes with {sum(children) / 2**20:.0f} MiB together"
        rss = process.memory_info().rss / 2**20
        figures.append(Figure(f"resident memory of {name}, after the load", rss, "MiB", note=note))
    return figures


def _body(emails: Sequence[bytes], outputs: Sequence[str]) -> tuple[bytes, int]:
    raw = b"".join(len(email).to_bytes(4, "little") + email for email in emails)
    tensor: dict[str, Any] = {
        "name": "email",
        "datatype": "BYTES",
        "shape": [len(emails)],
        "parameters": {"binary_data_size": len(raw), "content_type": "message/rfc822"},
    }
    document: dict[str, Any] = {"inputs": [tensor]}
    if outputs:
        document["outputs"] = [{"name": name} for name in outputs]
    head = json.dumps(document).encode()
    return head + raw, len(head)


def _headers(json_length: int) -> dict[str, str]:
    return {
        INFERENCE_HEADER_LENGTH: str(json_length),
        TIMEOUT_MS: "30000",
        "Content-Type": "application/octet-stream",
    }


@contextlib.contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], home: Home, log: Path, port: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Yields a process that is ready by the protocol, and ends it."""
    with log.open("wb") as target:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            env={**os.environ, "SLUICE_HOME": str(home.root), **environment},
            stdout=target, stderr=target, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise OperationalError(f"{' '.join(command[1:4])} is not ready. Its log ends:\n{end}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False
