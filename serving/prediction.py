"""One e-mail asked of what serves on this machine, by the Open Inference Protocol and past the gateway.

Errors::

    UsageError
    ├── NotAMessage         400  the file is absent, empty or too large
    └── TakesNoMessages     400  the model is asked by its columns and not by messages
    OperationalError
    ├── NotServed           503  no version of the model serves in the environment
    ├── ServerUnreachable   503  one should, and does not answer
    └── ServerFailed        503  it answers, and could not do its part
    CallerError
    └── PredictionRefused   422  it answers, and does not take the e-mail
"""

import json
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

import httpx
from pydantic import ValidationError

from contracts.bundle import CONTRACT, BundleContract
from contracts.environments import Environment
from contracts.explanations import Explanation
from contracts.headers import INFERENCE_HEADER_LENGTH, TIMEOUT_MS
from contracts.routes import Route, route_file
from contracts.tensors import TRANSFORMER_INPUTS, TRANSFORMER_OUTPUTS
from kit.errors import CallerError, OperationalError, UsageError
from kit.home import Home

MAX_BYTES: Final = 16 << 20
"""Of a file; a server reads less of it, and a folder of larger ones is a case for batch scoring."""
EXPLANATION: Final = "explanation"
EXPLAINING_SECONDS: Final = 30.0
"""For the first explanation a server imports XGBoost."""
_INPUT: Final = TRANSFORMER_INPUTS[0]
_SERVER_ERROR: Final = 500


class NotAMessage(UsageError):
    """There is nothing to ask."""

    code = "not_a_message"
    title = "No e-mail"


class TakesNoMessages(UsageError):
    """The model reads numbers, and nothing here makes them of an e-mail."""

    code = "takes_no_messages"
    title = "Model takes no e-mails"


class NotServed(OperationalError):
    """Nothing says where the model answers."""

    code = "not_served"
    title = "Not served"


class ServerUnreachable(OperationalError):
    """Nobody answers where the model should."""

    code = "server_unreachable"
    title = "Server unreachable"


class ServerFailed(OperationalError):
    """The server says that it cannot answer now."""

    code = "server_failed"
    title = "Server failed"


class PredictionRefused(CallerError):
    """The server does not take this e-mail."""

    status = 422
    code = "prediction_refused"
    title = "E-mail refused"


@dataclass(frozen=True)
class Prediction:
    """What a model version says of one e-mail."""

    probability: float
    """Of the last class."""
    verdict: str
    threshold: float | None
    """From which probability on the verdict is the last class; None if the likeliest class is taken, or if
    the version that answered is not any more the one of the route."""
    model: str
    version: str
    environment: Environment
    milliseconds: float
    explanation: Explanation | None = None
    """What decided, if it was asked for."""
    request_id: str | None = None
    """Under which the gateway remembers it; None if it was not asked."""


class Asking:
    """A connection to what serves `model` in `environment`; a context manager."""

    def __init__(self, route: Route, *, timeout_seconds: float) -> None:
        self._route = route
        self._timeout_seconds = timeout_seconds
        self._threshold = _threshold(route)
        # A proxy of the shell is for other places than this machine.
        self._client = httpx.Client(base_url=route.url, timeout=timeout_seconds, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def asked(self, raw: bytes, *, explain: bool = False) -> Prediction:
        """Returns what the model says of one raw e-mail, or of a structured one as JSON.

        Raises:
            PredictionRefused: the server does not take it.
            ServerUnreachable, ServerFailed: there is no answer.
        """
        names = [tensor.name for tensor in TRANSFORMER_OUTPUTS] + [EXPLANATION] * explain
        body, json_length = _request(raw, names)
        seconds = max(self._timeout_seconds, EXPLAINING_SECONDS) if explain else self._timeout_seconds
        begun = time.perf_counter()
        try:
            answer = self._client.post(
                f"/v2/models/{self._route.model}/infer",
                content=body,
                headers={
                    "Content-Type": "application/octet-stream",
                    INFERENCE_HEADER_LENGTH: str(json_length),
                    TIMEOUT_MS: str(int(seconds * 1000)),
                },
                timeout=seconds,
            )
        except httpx.HTTPError as exc:
            raise ServerUnreachable(
                f"{self._route.model} does not answer at {self._route.url} ({type(exc).__name__}).",
                next_step="See what runs with sluice status, then start it again: sluice up",
            ) from exc
        milliseconds = (time.perf_counter() - begun) * 1000
        if answer.is_error:
            raise problem_of(answer)
        return self._prediction(answer, milliseconds)

    def _prediction(self, answer: httpx.Response, milliseconds: float) -> Prediction:
        try:
            document = answer.json()
            values = {output["name"]: output["data"][0] for output in document["outputs"]}
            version = str(document["model_version"])
            told = values.get(EXPLANATION)
            return Prediction(
                probability=float(values["probability"]),
                verdict=str(values["verdict"]),
                threshold=self._threshold if version == self._route.version else None,
                model=self._route.model,
                version=version,
                environment=self._route.environment,
                milliseconds=milliseconds,
                explanation=None if told is None else Explanation.model_validate_json(told),
            )
        except (ValueError, KeyError, IndexError, TypeError) as exc:
            raise ServerFailed(
                f"What answers at {self._route.url} is not the transformer of {self._route.model}.",
                next_step="See what runs: sluice status",
            ) from exc


def route_of(home: Home, model: str, environment: Environment) -> Route:
    """Returns where e-mails for `model` are asked in `environment`: the one place that knows the address.

    Raises:
        NotServed: nothing serves it there.
        TakesNoMessages: it is asked by its columns.
    """
    path = route_file(home.serving, environment, model)
    try:
        route = Route.model_validate_json(path.read_bytes())
    except FileNotFoundError as exc:
        raise NotServed(
            f"Nothing serves {model} in {environment} on this machine.",
            next_step=f"Start what the aliases point at: sluice up. If {environment} has no version yet: "
            "sluice model list",
        ) from exc
    except ValidationError as exc:
        raise NotServed(
            f"{path} does not say where {model} answers.", next_step="Write it anew: sluice up"
        ) from exc
    if not route.transformer:
        raise TakesNoMessages(
            f"{model} takes its own columns, and no e-mails.",
            next_step=f"Post them to {route.url}/v2/models/{model}/versions/{route.version}/infer, or score "
            "a table: sluice batch score",
        )
    return route


def message_of(name: str, stdin: IO[bytes]) -> bytes:
    """Returns the bytes of a file, or of standard input for `-`.

    Raises:
        NotAMessage: it cannot be read, is empty, or is larger than MAX_BYTES.
    """
    try:
        if name == "-":
            raw = stdin.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as content:
                raw = content.read(MAX_BYTES + 1)
    except OSError as exc:
        raise NotAMessage(
            f"{name} cannot be read: {exc.strerror or type(exc).__name__}.", next_step="Check the path."
        ) from exc
    shown = "Standard input" if name == "-" else name
    if not raw.strip():
        raise NotAMessage(f"{shown} is empty.", next_step="Give an e-mail as it is in its file.")
    if len(raw) > MAX_BYTES:
        raise NotAMessage(
            f"{shown} has more than {MAX_BYTES >> 20} MB.",
            next_step="Put it into a folder and score that: sluice batch score reads what counts of it.",
        )
    return raw


def _request(raw: bytes, outputs: list[str]) -> tuple[bytes, int]:
    """Returns a body with the e-mail as a binary tensor, since JSON holds no arbitrary bytes."""
    element = struct.pack("<I", len(raw)) + raw
    tensor = {
        "name": _INPUT.name,
        "datatype": _INPUT.datatype,
        "shape": [1],
        "parameters": {"binary_data_size": len(element)},
    }
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": name} for name in outputs]}).encode()
    return head + element, len(head)


def problem_of(answer: httpx.Response) -> CallerError | OperationalError:
    """Returns the error that an answer of a server, or of the gateway, tells."""
    try:
        document = answer.json()
        message, next_step = str(document.get("detail") or document["error"]), document.get("next_step")
    except (ValueError, KeyError, AttributeError):
        message, next_step = f"The server answered with HTTP {answer.status_code}.", None
    if answer.status_code >= _SERVER_ERROR:
        return ServerFailed(message, next_step=next_step or "See why: sluice status, sluice logs")
    return PredictionRefused(message, next_step=next_step)


def _threshold(route: Route) -> float | None:
    try:
        text = (route.bundle / CONTRACT).read_text(encoding="utf-8")
        return BundleContract.model_validate_json(text).threshold
    except (OSError, ValidationError):
        return None
