"""A small API server with a controller: the paths that deploying uses, answered as Kubernetes answers them.

An applied InferenceService gets pods with its components' labels, ready after a few questions. Requests
through a Service are answered by ONNX Runtime from the repository that the predictor's storageUri names.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from kit.onnx_function import OnnxFunction

TOKEN = "t0ken"
DTYPES: dict[str, Any] = {"FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}
_NAMESPACED = re.compile(
    r"/(?P<api>apis/serving\.kserve\.io/v1beta1|api/v1)/namespaces/(?P<namespace>[^/]+)/(?P<kind>[a-z]+)"
    r"(/(?P<name>[^/]+)(?P<rest>/.*)?)?"
)


@dataclass
class ApiServer:
    """What the server holds, and how it shall misbehave."""

    address: str = ""
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    applied: list[dict[str, Any]] = field(default_factory=list)
    pods: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    fail: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """By method and kind: the status and message of every answer."""
    stuck: set[str] = field(default_factory=set)
    """Versions whose pods never become ready."""
    wrong: set[str] = field(default_factory=set)
    """Versions that answer another probability than their graph."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        """Returns the status and the document of one answer."""
        with self.lock:
            self.asked.append((method, path))
            found = _NAMESPACED.fullmatch(path)
            if found is None:
                return _status(404, "the server could not find the requested resource")
            kind, name = found["kind"], found["name"]
            if (method, kind) in self.fail:
                return _status(*self.fail[method, kind])
            if kind == "services":
                return self._through(name.partition(":")[0], found["rest"] or "", body)
            if kind == "events":
                return 200, {"items": self.events}
            if kind == "pods":
                return 200, {"items": self._pods(query["labelSelector"][0].partition("=")[2])}
            return self._service(method, name, query, body)

    def _service(
        self, method: str, name: str | None, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, Any]:
        if name is None:
            return 200, {"items": list(self.services.values())}
        if method == "PATCH":
            assert query["fieldManager"] == ["sluice"]
            return self._apply(name, json.loads(body))
        if name not in self.services:
            return _status(404, f'inferenceservices.serving.kserve.io "{name}" not found')
        if method == "DELETE":
            del self.services[name]
            self.pods.pop(name, None)
            return 200, {"kind": "Status", "status": "Success"}
        return 200, self.services[name]

    def _apply(self, name: str, manifest: dict[str, Any]) -> tuple[int, Any]:
        self.applied.append(manifest)
        former = self.services.get(name, {"metadata": {"generation": 0}})
        generation = former["metadata"]["generation"] + (former.get("spec") != manifest["spec"])
        service = manifest | {"metadata": manifest["metadata"] | {"generation": generation}}
        conditions = [{"type": "Ready", "status": "True"}]
        service["status"] = {"observedGeneration": generation, "conditions": conditions}
        self.services[name] = service
        after = []
        for component, spec in manifest["spec"].items():
            labels = spec["labels"] | {"component": component, "serving.kserve.io/inferenceservice": name}
            ready = [
                pod
                for pod in self.pods.get(name, [])
                if pod["metadata"]["labels"]["component"] == component and _is_ready(pod)
            ]
            after += ready
            if any(pod["metadata"]["labels"] == labels for pod in ready):
                continue
            # The former pod stays until its successor is ready.
            after.append(
                {
                    "metadata": {"name": f"{name}-{component}-{generation}", "labels": labels},
                    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]},
                    "polls": 2,
                }
            )
        self.pods[name] = after
        return 200, service

    def _pods(self, name: str) -> list[dict[str, Any]]:
        pods = self.pods.get(name, [])
        for pod in pods:
            labels = pod["metadata"]["labels"]
            versions = set("_".join(v for k, v in labels.items() if k.startswith("sluice.dev/")).split("_"))
            if versions & self.stuck:
                pod["status"]["containerStatuses"] = [
                    {
                        "name": "kserve-container",
                        "restartCount": 4,
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                    }
                ]
            elif "polls" in pod:
                pod["polls"] -= 1
                if pod["polls"] <= 0:
                    del pod["polls"]
                    pod["status"]["conditions"][0]["status"] = "True"
        newest = {pod["metadata"]["labels"]["component"]: pod for pod in pods if _is_ready(pod)}
        self.pods[name] = [
            pod for pod in pods if not _is_ready(pod) or newest[pod["metadata"]["labels"]["component"]] is pod
        ]
        return self.pods[name]

    def _through(self, service: str, rest: str, body: bytes) -> tuple[int, Any]:
        name = service.removesuffix("-predictor")
        if name not in self.services:
            return _status(503, f'no endpoints available for service "{service}"')
        uri = self.services[name]["spec"]["predictor"]["model"]["storageUri"]
        path = re.fullmatch(r"/proxy/v2/models/([^/]+)/versions/([^/]+)(/infer)?", rest)
        assert path is not None, rest
        folder = Path(uri) / path[1] / path[2]
        if not folder.is_dir():
            return 400, {"error": f"Request for unknown model: '{path[1]}' version {path[2]} is not found"}
        graph = OnnxFunction((folder / "model.onnx").read_bytes())
        if path[3] is None:
            return 200, _metadata(path[1], (folder.parent / "config.pbtxt").read_text())
        inputs = {
            tensor["name"]: np.array(tensor["data"], dtype=DTYPES[tensor["datatype"]]).reshape(
                tensor["shape"]
            )
            for tensor in json.loads(body)["inputs"]
        }
        outputs = graph(inputs)
        if path[2] in self.wrong:
            outputs["probabilities"] = outputs["probabilities"][:, ::-1]
        return 200, {"outputs": [_tensor(each, values) for each, values in outputs.items()]}


@contextmanager
def running() -> Iterator[ApiServer]:
    """Yields an API server on a free port."""
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            where = urlsplit(self.path)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, document = _status(401, "Unauthorized")
            else:
                status, document = state.answer(self.command, where.path, parse_qs(where.query), body)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = _handle  # noqa: N815 - http.server's names
        do_POST = _handle  # noqa: N815
        do_PATCH = _handle  # noqa: N815
        do_DELETE = _handle  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _status(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "status": "Failure", "message": message, "code": code}


def _is_ready(pod: dict[str, Any]) -> bool:
    return bool(pod["status"]["conditions"][0]["status"] == "True")


def _tensor(name: str, values: Any) -> dict[str, Any]:
    shaped = values if values.ndim > 1 else values.reshape(-1, 1)
    datatype = "INT64" if values.dtype.kind == "i" else "FP32"
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(shaped.shape),
        "data": shaped.reshape(-1).tolist(),
    }


def _metadata(model: str, config: str) -> dict[str, Any]:
    """Returns what Triton says of a model with this configuration."""
    kinds = {"TYPE_STRING": "BYTES", "TYPE_FP32": "FP32", "TYPE_INT64": "INT64"}
    found: dict[str, Any] = {"name": model, "inputs": [], "outputs": []}
    for role, block in re.findall(r"^(input|output) \[(.*?)^\]", config, re.MULTILINE | re.DOTALL):
        for name, kind, dims in re.findall(
            r'name: "(\w+)"\s+data_type: (\w+)\s+dims: \[ ?([\d, ]+?) ?\]', block
        ):
            shape = [-1, *map(int, dims.split(","))]
            found[f"{role}s"].append({"name": name, "datatype": kinds[kind], "shape": shape})
    return found
