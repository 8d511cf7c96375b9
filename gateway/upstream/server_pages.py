"""The pages of `/v2` that are about the gateway itself, as a server of the Open Inference Protocol."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from gateway.backends.backend import Answer, Readiness
from gateway.errors import PathUnknown
from gateway.upstream.pages import require_method

NAME: Final = "sluice-gateway"
_SERVER: Final = {"name": NAME, "version": "2", "extensions": ["binary_tensor_data"]}


def answer(path: Sequence[str], method: str, readiness: Readiness) -> Answer:
    """Returns `/v2`, `/v2/health/live` or `/v2/health/ready`, the latter of one environment.

    Raises:
        PathUnknown: there is no such path.
        MethodRefused: it is asked in another way.
    """
    told: dict[str, Any]
    match list(path):
        case []:
            told = _SERVER
        case ["health", "live"]:
            told = {"live": True}
        case ["health", "ready"]:
            told = {"ready": readiness.ready}
            if readiness.reason is not None:
                told["reason"] = readiness.reason
        case _:
            raise PathUnknown("There is no such path.", next_step="Infer at /v2/models/MODEL/infer.")
    require_method("GET", method)
    status = 503 if told.get("ready") is False else 200
    return Answer(orjson.dumps(told), "application/json", status=status)
