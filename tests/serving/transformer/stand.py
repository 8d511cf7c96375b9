"""A Triton and transformers as processes of their own, for tests; started and ended by pid."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from contracts.environments import Environment
from contracts.routes import Route
from kit.bundle import Bundle
from kit.files import write_text
from serving import model_repository
from serving.model_repository import Layout
from serving.runtimes import triton as runtime
from serving.transformer import MODEL, launch
from serving.triton_control import TritonControl

PATIENCE_SECONDS = 120.0
INFER = f"/v2/models/{MODEL}/infer"


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.02)


class TritonProcess:
    """A Triton that can be killed and started again at the same ports."""

    def __init__(self, folder: Path, versions: Mapping[str, Bundle]) -> None:
        self.repository = folder / "repository"
        self.log = folder / "triton.log"
        self.ports = runtime.free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        for version, bundle in versions.items():
            model_repository.add_version(self.repository, bundle, version, Layout.PYTHON)
        contract = next(iter(versions.values())).contract
        model_repository.write_config(self.repository, contract, list(versions), Layout.PYTHON)

    @property
    def pid(self) -> int:
        """The pid of the server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it and waits for every model."""
        how = runtime.command(self.repository, self.ports)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                how.arguments, env={**os.environ, **how.environment}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        with TritonControl(f"127.0.0.1:{self.ports.http}") as control:
            until(control.ready, f"Triton: {self.log}")

    def kill(self) -> None:
        """Kills it and its own children at once."""
        assert self._process is not None
        os.killpg(self._process.pid, 9)
        self._process.wait()

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            runtime.stop(self._process, 5)

    def route(self, version: str, bundle: Bundle, url: str = "http://127.0.0.1") -> Route:
        """Returns the route to one of its versions."""
        return Route(
            model=MODEL,
            environment=Environment.STAGING,
            version=version,
            bundle=bundle.folder,
            bundle_digest=bundle.digest,
            triton_http=f"127.0.0.1:{self.ports.http}",
            triton_grpc=f"127.0.0.1:{self.ports.grpc}",
            url=url,
            transformer=True,
            since=datetime.now(UTC),
        )


class TransformerProcess:
    """A transformer that follows a route of its own."""

    def __init__(self, folder: Path, home: Path, environment: Mapping[str, str]) -> None:
        self._route = folder / "route.json"
        self.log = folder / "transformer.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.host = f"127.0.0.1:{port}"
        how = launch.command(self._route, port=port)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                how.arguments,
                env={**os.environ, "SLUICE_HOME": str(home), **how.environment, **environment},
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.client = httpx.Client(base_url=f"http://{self.host}", timeout=60, trust_env=False)

    def follow(self, route: Route) -> None:
        """Writes the route; the transformer sees it by itself."""
        write_text(self._route, route.model_dump_json())

    def readiness(self) -> dict[str, Any]:
        """Returns what readiness tells, with `code` for its HTTP status; 0 if nobody answers yet."""
        try:
            answer = self.client.get("/v2/health/ready")
        except httpx.TransportError:
            return {"code": 0}
        told: dict[str, Any] = answer.json()
        return told | {"code": answer.status_code}

    def until_ready(self, version: str) -> None:
        """Waits until it is ready with a version, and looks senders up."""
        until(
            lambda: (told := self.readiness())["code"] == 200 and told["version"] == version,
            f"version {version}: {self.log}",
        )

    def infer(self, emails: Sequence[bytes], *outputs: str, **headers: str) -> httpx.Response:
        """Returns the answer to raw messages, sent as binary tensors."""
        raw = b"".join(len(email).to_bytes(4, "little") + email for email in emails)
        document: dict[str, Any] = {
            "inputs": [
                {
                    "name": "email", "datatype": "BYTES", "shape": [len(emails)],
                    "parameters": {"binary_data_size": len(raw), "content_type": "message/rfc822"},
                }
            ],
            "outputs": [{"name": name} for name in outputs],
        }  # fmt: skip
        head = json.dumps(document).encode()
        return self.client.post(
            INFER,
            content=head + raw,
            headers={"X-Request-Timeout-Ms": "30000", "Inference-Header-Content-Length": str(len(head))}
            | headers,
        )

    def stop(self) -> int:
        """Ends it, and returns its exit code."""
        self.client.close()
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def transformer(folder: Path, home: Path, **environment: str) -> Iterator[TransformerProcess]:
    """Yields a transformer, and ends it."""
    folder.mkdir()
    process = TransformerProcess(folder, home, environment)
    try:
        yield process
    finally:
        process.stop()


def outputs(answer: httpx.Response) -> dict[str, list[Any]]:
    """Returns the data of each output by name."""
    assert answer.status_code == 200, answer.text
    return {tensor["name"]: tensor["data"] for tensor in answer.json()["outputs"]}
