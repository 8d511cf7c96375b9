"""Other serving frameworks, each in its own idiom around the same extraction and graph (serving/peers).

Those that are not of the platform's own environment have one of their own, made by `make peers` from a
hashed lock. What cannot be started is told with its reason, and is not imitated.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from cli.comparison.processes import NotStarted
from cli.comparison.systems import Program, Subject, System
from contracts.headers import INFERENCE_HEADER_LENGTH
from contracts.tensors import SPAM_DETECTOR
from kit.errors import UsageError
from kit.files import write_text
from serving.peers.detector import BUNDLE
from serving.runtimes.triton import free_ports

ROOT: Final = Path(__file__).parents[2]
ENVIRONMENTS: Final = Path(sys.prefix) / "peers"
_JSON: Final = {"Content-Type": "application/json"}
_INSIDE: Final = "e-mail to answer with the model inside, senders unknown; no keys, limits or records"
_MODEL: Final = "emails"


def peers() -> list[tuple[System, Callable[[Subject, int], Program]]]:
    """Returns each peer, and what starts it on a port.

    That raises UsageError if its environment is not there, and NotStarted if it cannot be prepared.
    """
    return [
        (KSERVE, _kserve), (_MLFLOW, _mlflow), (_MLSERVER, _mlserver), (_BENTOML, _bentoml), (_RAY, _ray),
    ]  # fmt: skip


KSERVE: Final = System(
    name="KServe Python server",
    does="e-mail to answer by a transformer, senders looked up, the same Triton; no keys, limits or records",
    settings="one process before Triton's two, no latency log",
    path=f"/v2/models/{SPAM_DETECTOR}/infer",
    body=lambda email: _kserve_body(email)[0],
    headers=lambda email: {INFERENCE_HEADER_LENGTH: str(_kserve_body(email)[1])},
    probability=lambda answer: _tensor(answer, "probabilities")[-1],
    senders=True,
)
_MLFLOW: Final = System(
    name="mlflow models serve",
    does=_INSIDE,
    settings="pyfunc, two uvicorn workers, the platform's own environment",
    path="/invocations",
    body=lambda email: json.dumps({"inputs": [_base64(email)]}).encode(),
    headers=lambda _email: _JSON,
    probability=lambda answer: float(json.loads(answer)["predictions"][0]),
)
_MLSERVER: Final = System(
    name="MLServer",
    does=_INSIDE,
    settings="custom runtime, two parallel workers, no debug log",
    path=f"/v2/models/{_MODEL}/infer",
    body=lambda email: json.dumps(
        {
            "inputs": [
                {
                    "name": "email", "datatype": "BYTES", "shape": [1], "data": [_base64(email)],
                    "parameters": {"content_type": "base64"},
                }
            ]
        }
    ).encode(),
    headers=lambda _email: _JSON,
    probability=lambda answer: float(_tensor(answer, "probability")[0]),
)  # fmt: skip
_BENTOML: Final = System(
    name="BentoML",
    does=_INSIDE,
    settings="two workers, asynchronous API, no access log",
    path="/probability",
    body=lambda email: json.dumps({"email": _base64(email)}).encode(),
    headers=lambda _email: _JSON,
    probability=lambda answer: float(json.loads(answer)),
)
_RAY: Final = System(
    name="Ray Serve",
    does=_INSIDE,
    settings="two replicas, throughput-optimised, no access log, no dashboard",
    path="/",
    body=lambda email: email,
    probability=lambda answer: float(json.loads(answer)),
    restless=True,
)


def _kserve(subject: Subject, port: int) -> Program:
    if subject.triton is None:
        raise NotStarted("KServe's server has no Triton to ask.")
    command = (
        sys.executable, "-m", "serving.peers.kserve_transformer",
        str(port), subject.triton.http, str(subject.root),
    )  # fmt: skip
    return Program(command, {"PYTHONPATH": str(ROOT)}, lambda: _ok(port, "/v2/health/ready"))


def _mlflow(subject: Subject, port: int) -> Program:
    model = subject.folder / "pyfunc"
    environment = _environment(subject) | {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    saved = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-m", "serving.peers.mlflow_model", str(model)),
        env=environment, cwd=subject.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if saved.returncode != 0:
        raise NotStarted(f"MLflow could not save the model: {saved.stderr.strip()[-500:]}")
    command = (
        str(Path(sys.executable).with_name("mlflow")), "models", "serve", "--model-uri", str(model),
        "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "2",
    )  # fmt: skip
    return Program(command, environment, lambda: _ok(port, "/ping"))


def _mlserver(subject: Subject, port: int) -> Program:
    folder, others = subject.folder / _MODEL, free_ports()
    settings = {
        "host": "127.0.0.1", "http_port": port, "grpc_port": others.grpc, "metrics_port": others.metrics,
        "debug": False, "parallel_workers": 2,
    }  # fmt: skip
    model = {"name": _MODEL, "implementation": "serving.peers.mlserver_runtime.Emails"}
    write_text(folder / "settings.json", json.dumps(settings))
    write_text(folder / "model-settings.json", json.dumps(model))
    command = (_program("mlserver", "mlserver"), "start", str(folder))
    return Program(command, _environment(subject), lambda: _ok(port, "/v2/health/ready"))


def _bentoml(subject: Subject, port: int) -> Program:
    command = (
        _program("bentoml", "bentoml"), "serve", "serving.peers.bentoml_service:Emails",
        "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(ROOT),
    )  # fmt: skip
    environment = _environment(subject) | {
        "BENTOML_HOME": str(subject.folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return Program(command, environment, lambda: _ok(port, "/readyz"))


def _ray(subject: Subject, port: int) -> Program:
    command = (
        _program("rayserve", "python"), "-m", "serving.peers.ray_deployment",
        str(port), "2", str(subject.folder / "ray"),
    )  # fmt: skip
    environment = _environment(subject) | {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_raylet_start_wait_time_s": "120",
    }
    return Program(command, environment, lambda: _answers(_RAY, port))


def _environment(subject: Subject) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), BUNDLE: str(subject.bundle)}


def _program(environment: str, name: str) -> str:
    program = ENVIRONMENTS / environment / "bin" / name
    if not program.exists():
        raise UsageError(f"The environment {program.parents[1]} is not there.", next_step="Run `make peers`.")
    return str(program)


def _ok(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _answers(system: System, port: int) -> bool:
    try:
        url = f"http://127.0.0.1:{port}{system.path}"
        return httpx.post(
            url, content=system.body(b"Subject: a first one\n\nhello"), trust_env=False
        ).is_success
    except httpx.TransportError:
        return False


def _base64(email: bytes) -> str:
    return base64.b64encode(email).decode()


def _tensor(answer: bytes, name: str) -> list[float]:
    outputs: list[Mapping[str, Any]] = json.loads(answer)["outputs"]
    return next(list(output["data"]) for output in outputs if output["name"] == name)


def _kserve_body(email: bytes) -> tuple[bytes, int]:
    """Returns an inference request with one e-mail as a binary tensor, and the bytes of its JSON."""
    raw = len(email).to_bytes(4, "little") + email
    tensor = {
        "name": "email", "datatype": "BYTES", "shape": [1],
        "parameters": {"binary_data_size": len(raw), "content_type": "message/rfc822"},
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + raw, len(head)
