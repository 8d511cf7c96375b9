"""A small client of Triton's HTTP endpoint: readiness by name and version, loading, and inference.

For commands, deployers and tests, where one request at a time is enough; the transformer has a client of its
own. Errors::

    OperationalError
    └── TritonUnreachable   503  nothing answers there, or not in time
    Refused
    └── TritonRefused       422  Triton said no; `reasons` holds its own sentence, never a payload
"""

import json
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from kit.errors import OperationalError, Refused

ANSWER_SECONDS: Final = 10.0
LOAD_SECONDS: Final = 120.0

_DTYPES: Final[Mapping[str, Any]] = {"FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}
_LONGEST_REASON: Final = 500
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f]+")

Arrays = Mapping[str, NDArray[Any]]


class TritonUnreachable(OperationalError):
    """Nothing answers at the address of Triton, or not in time."""

    code = "triton_unreachable"
    title = "Triton does not answer"


class TritonRefused(Refused):
    """Triton said no; `reasons` holds its own sentence."""

    code = "triton_refused"
    title = "Triton refused"


class ModelState(NamedTuple):
    """One line of Triton's index; `version` is empty for a model of which nothing was ever loaded."""

    model: str
    version: str
    state: str
    """READY, LOADING, UNLOADING, UNAVAILABLE, or empty."""
    reason: str


class TritonControl:
    """A connection to one Triton; close it, or use it as a context.

    `address` is host:port of its HTTP endpoint. A `client` reaches it in another way, through a cluster's API
    server for instance; the address is then for people. With `grpc`, host:port of its gRPC endpoint, models
    are loaded and unloaded there: a load over HTTP holds up other HTTP requests until it is done (24.10).
    """

    def __init__(
        self,
        address: str,
        *,
        grpc: str | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        load_seconds: float = LOAD_SECONDS,
        client: httpx.Client | None = None,
    ) -> None:
        self.address = address
        self._grpc = grpc
        self._load_seconds = load_seconds
        # The environment's proxies are for the outside; Triton is a neighbour.
        self._client = client or httpx.Client(
            base_url=f"http://{address}",
            timeout=answer_seconds,
            trust_env=False,
            verify=False,  # noqa: S501 - plain HTTP; the system's certificates would be read for 0.1 s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def ready(self) -> bool:
        """Tells whether Triton answers and takes requests; says nothing of any model."""
        try:
            return self._client.get("/v2/health/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def model_ready(self, model: str, version: str) -> bool:
        """Tells whether this very version of the model takes requests.

        Raises:
            TritonUnreachable: Triton does not answer.
        """
        answer = self._asked("GET", f"/v2/models/{model}/versions/{version}/ready")
        return answer.status_code == httpx.codes.OK

    def metadata(self, model: str, version: str) -> dict[str, Any]:
        """Returns what Triton says of the tensors of this version, as the Open Inference Protocol has it.

        Raises:
            TritonRefused: there is no such version.
            TritonUnreachable: Triton does not answer.
        """
        return dict(self._json("GET", f"/v2/models/{model}/versions/{version}"))

    def index(self) -> list[ModelState]:
        """Returns the state of every model in the repository and of each version that was ever loaded.

        Raises:
            TritonUnreachable: Triton does not answer.
        """
        found = self._json("POST", "/v2/repository/index", body={})
        return [
            ModelState(
                line["name"],
                line.get("version", ""),
                line.get("state", ""),
                _sentence(line.get("reason", "")),
            )
            for line in found
        ]

    def ready_versions(self, model: str) -> frozenset[str]:
        """Returns the versions of the model that take requests now.

        Raises:
            TritonUnreachable: Triton does not answer.
        """
        return frozenset(
            line.version for line in self.index() if line.model == model and line.state == "READY"
        )

    def load(self, model: str) -> None:
        """Has Triton read the model's configuration; returns when the versions it names are loaded.

        What is served already goes on meanwhile, and goes on if the new configuration cannot be loaded.

        Raises:
            TritonRefused: it cannot be loaded, with Triton's reason.
            TritonUnreachable: Triton does not answer.
        """
        if self._grpc is not None:
            self._by_grpc("RepositoryModelLoad", model)
        else:
            self._json("POST", f"/v2/repository/models/{model}/load", body={}, seconds=self._load_seconds)

    def unload(self, model: str) -> None:
        """Takes the model away, all versions; requests in flight end, and Triton returns before they do.

        Raises:
            TritonRefused: there is no such model.
            TritonUnreachable: Triton does not answer.
        """
        if self._grpc is not None:
            self._by_grpc("RepositoryModelUnload", model)
        else:
            self._json("POST", f"/v2/repository/models/{model}/unload", body={})

    def infer(self, model: str, version: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Returns the outputs of this version by name, for inputs of N rows each.

        Text is str, or bytes that are UTF-8: this is the protocol's JSON form, which carries nothing else.

        Raises:
            TritonRefused: an input is wrong, or there is no such version.
            TritonUnreachable: Triton does not answer.
        """
        body = {"inputs": [_tensor(name, values) for name, values in inputs.items()]}
        answer = self._json("POST", f"/v2/models/{model}/versions/{version}/infer", body=body)
        return {output["name"]: _array(output) for output in answer["outputs"]}

    def _by_grpc(self, method: str, model: str) -> None:
        import grpc
        from tritonclient.grpc import service_pb2, service_pb2_grpc

        request = getattr(service_pb2, f"{method}Request")(model_name=model)
        with grpc.insecure_channel(self._grpc, options=(("grpc.enable_http_proxy", 0),)) as channel:
            try:
                getattr(service_pb2_grpc.GRPCInferenceServiceStub(channel), method)(
                    request, timeout=self._load_seconds
                )
            except grpc.RpcError as exc:
                if exc.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise TritonUnreachable(f"Triton at {self._grpc} did not end {method} in time.") from exc
                if exc.code() is grpc.StatusCode.UNAVAILABLE:
                    raise TritonUnreachable(
                        f"Nothing answers at {self._grpc}, where Triton should be."
                    ) from exc
                raise _refused(f"{self._grpc} refused {method} of {model}", exc.details() or "") from exc

    def _json(self, method: str, path: str, *, body: Any = None, seconds: float | None = None) -> Any:
        answer = self._asked(method, path, body=body, seconds=seconds)
        if answer.is_success:
            return answer.json() if answer.content else {}
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise TritonUnreachable(f"Triton at {self.address} takes no more requests now.")
        raise _refused(f"{self.address} refused {path}", _reason(answer))

    def _asked(
        self, method: str, path: str, *, body: Any = None, seconds: float | None = None
    ) -> httpx.Response:
        extra = {} if seconds is None else {"timeout": seconds}
        try:
            return self._client.request(method, path, json=body, **extra)  # type: ignore[arg-type]
        except httpx.TimeoutException as exc:
            raise TritonUnreachable(f"Triton at {self.address} did not answer {path} in time.") from exc
        except httpx.TransportError as exc:
            raise TritonUnreachable(f"Nothing answers at {self.address}, where Triton should be.") from exc


def _refused(what: str, said: str) -> TritonRefused:
    return TritonRefused(
        f"Triton at {what}.",
        reasons=[_sentence(said) or "It gave no reason."],
        next_step="The server's own log says more.",
    )


def _reason(answer: httpx.Response) -> str:
    try:
        said = answer.json().get("error", "")
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
        said = ""
    return str(said) or f"HTTP {answer.status_code} without a reason."


def _sentence(said: str) -> str:
    """Returns one line of what Triton said, without the stack of a model's program."""
    said = said.partition("\nAt:\n")[0]
    return _CONTROL_CHARACTERS.sub(" ", said).strip()[:_LONGEST_REASON]


def _tensor(name: str, values: NDArray[Any]) -> dict[str, Any]:
    if values.dtype.kind in "OSU":
        datatype = "BYTES"
        data = [
            value.decode() if isinstance(value, bytes) else value for value in values.reshape(-1).tolist()
        ]
    else:
        datatype = next(name for name, dtype in _DTYPES.items() if values.dtype == dtype)
        data = values.reshape(-1).tolist()
    return {"name": name, "datatype": datatype, "shape": list(values.shape), "data": data}


def _array(output: Mapping[str, Any]) -> NDArray[Any]:
    return np.array(output["data"], dtype=_DTYPES[output["datatype"]]).reshape(output["shape"])
