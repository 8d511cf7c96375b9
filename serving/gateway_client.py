"""One message asked of the gateway of this machine, as any client asks it: over HTTP, with a key.

Errors::

    OperationalError
    └── GatewayDown   503  the gateway does not run on this machine, or does not answer
"""

import json
import secrets
import time
from typing import Final, Self

import httpx
from pydantic import ValidationError

from contracts.environments import HEADER as ENVIRONMENT
from contracts.environments import Environment
from contracts.explanations import Explanation
from contracts.gateway import PREDICT
from contracts.headers import API_KEY, REQUEST_ID, TIMEOUT_MS
from contracts.tensors import RAW, STRUCTURED
from kit.errors import OperationalError
from kit.home import Home
from serving.local.door import Door, door
from serving.prediction import EXPLAINING_SECONDS, Prediction, ServerFailed, problem_of

_ID_BYTES: Final = 6
"""Of a request id: short enough to be typed into another command."""
_DIRECT: Final = "Start it: sluice up. Or ask the model's own server: sluice predict --direct"


class GatewayDown(OperationalError):
    """Nobody answers at the front door."""

    code = "gateway_down"
    title = "The gateway does not answer"


def gateway_of(home: Home) -> tuple[Door, str]:
    """Returns the gateway of this machine and the development key.

    Raises:
        GatewayDown: it was never started here.
    """
    found = door(home)
    if found is None or found.key is None:
        raise GatewayDown("The gateway was not started on this machine.", next_step=_DIRECT)
    return found, found.key


class Asking:
    """A connection to the gateway, which asks what serves in `environment`; a context manager."""

    def __init__(self, at: Door, key: str, environment: Environment, *, timeout_seconds: float) -> None:
        self._url = at.url
        self._environment = environment
        self._timeout_seconds = timeout_seconds
        # A proxy of the shell is for other places than this machine.
        self._client = httpx.Client(
            base_url=at.url, headers={API_KEY: key, ENVIRONMENT: environment.value}, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def asked(self, raw: bytes, *, explain: bool = False) -> Prediction:
        """Returns what the model says of one raw message, or of a structured one as JSON.

        Raises:
            PredictionRefused: the gateway does not take it.
            GatewayDown, ServerFailed: there is no answer.
        """
        seconds = max(self._timeout_seconds, EXPLAINING_SECONDS) if explain else self._timeout_seconds
        kind = STRUCTURED if raw[:64].lstrip()[:1] == b"{" else RAW
        begun = time.perf_counter()
        try:
            answer = self._client.post(
                PREDICT,
                params={"explain": "true"} if explain else None,
                content=raw,
                headers={
                    "Content-Type": kind,
                    TIMEOUT_MS: str(int(seconds * 1000)),
                    REQUEST_ID: secrets.token_hex(_ID_BYTES),
                },
                timeout=seconds,
            )
        except httpx.HTTPError as exc:
            raise GatewayDown(
                f"The gateway does not answer at {self._url} ({type(exc).__name__}).", next_step=_DIRECT
            ) from exc
        milliseconds = (time.perf_counter() - begun) * 1000
        if answer.is_error:
            raise problem_of(answer)
        return self._prediction(answer, milliseconds)

    def _prediction(self, answer: httpx.Response, milliseconds: float) -> Prediction:
        try:
            told = answer.json()
            explanation = told.get("explanation")
            return Prediction(
                probability=float(told["probability"]),
                verdict=str(told["verdict"]),
                threshold=None if told["threshold"] is None else float(told["threshold"]),
                model=str(told["model"]),
                version=str(told["version"]),
                environment=Environment(told["environment"]),
                milliseconds=milliseconds,
                request_id=str(told["request_id"]),
                # As JSON: it holds lists where the contract has tuples.
                explanation=None
                if explanation is None
                else Explanation.model_validate_json(json.dumps(explanation)),
            )
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ServerFailed(
                f"What answers at {self._url} is not the gateway.", next_step="See what runs: sluice status"
            ) from exc
