"""`/v2/…`: the Open Inference Protocol, passed through with the same keys, limits and routing."""

import re
import time
from typing import Final

from starlette.requests import Request

from contracts.environments import HEADER as ENVIRONMENT_HEADER
from contracts.headers import INFERENCE_HEADER_LENGTH
from gateway.backends.backend import Answer
from gateway.errors import PathUnknown
from gateway.http import Document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.remembering import ids_of
from gateway.routes.lean import LeanRoute

_MODELS: Final = "models"
_PATHS: Final = (
    ("/v2/models/{model}/infer", "POST", "infer"),
    ("/v2/models/{model}/versions/{version}/infer", "POST", "infer_by_version"),
    ("/v2/models/{model}", "GET", "model_metadata"),
    ("/v2/models/{model}/versions/{version}", "GET", "model_version_metadata"),
    ("/v2/models/{model}/ready", "GET", "model_ready"),
    ("/v2/models/{model}/versions/{version}/ready", "GET", "model_version_ready"),
    ("/v2", "GET", "server_metadata"),
    ("/v2/health/live", "GET", "server_live"),
    ("/v2/health/ready", "GET", "server_ready"),
)
_STEP: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_READ: Final = (INFERENCE_HEADER_LENGTH.lower(), "content-type", "accept")
"""The headers that the protocol reads."""


class Passing:
    """Hands what is asked to the backend, and its answer back."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[LeanRoute]:
        """Returns the routes."""
        return [
            *(
                LeanRoute(path, self.passed, methods=[method], operation_id=name)
                for path, method, name in _PATHS
            ),
            # What a server has besides; the backend knows which of it there is.
            LeanRoute("/v2/{path:path}", self.passed, methods=["GET", "POST"], include_in_schema=False),
        ]

    async def passed(self, request: Request, passage: Passage) -> Document:
        """Answers as the Open Inference Protocol has it."""
        parts, scope = self._parts, request.scope
        steps = _steps(scope["path"])
        headers = {name: passage.headers[name] for name in _READ if name in passage.headers}
        if len(steps) < 2 or steps[0] != _MODELS:  # noqa: PLR2004 - models/NAME
            async with (
                parts.entry.known(passage) as (caller, deadline),
                parts.bodies.body(request.receive, passage.headers, deadline) as body,
            ):
                environment = parts.entry.environment(passage)
                parts.access.permit(caller, environment=environment)
                headers[ENVIRONMENT_HEADER.lower()] = environment.value
                answer = await parts.backend.passed(None, scope["method"], steps, headers, body)
            return _document(answer)
        async with (
            parts.entry.asked(passage, steps[1]) as asked,
            parts.bodies.body(request.receive, passage.headers, asked.deadline) as body,
        ):
            answer = await parts.backend.passed(asked, scope["method"], steps, headers, body)
        passage.version = answer.version
        if answer.rows:
            latency = time.perf_counter() - passage.begun
            ids = ids_of(asked.request_id, len(answer.rows))
            parts.remembering.keep(asked, answer.version or "", answer.rows, ids, latency)
        return _document(answer)


def _steps(path: str) -> tuple[str, ...]:
    """Returns the parts of a path below /v2.

    Raises:
        PathUnknown: one is none that a path of the protocol can have.
    """
    steps = tuple(path.split("/")[2:])
    if steps and not steps[-1]:
        steps = steps[:-1]
    if not all(_STEP.fullmatch(step) for step in steps):
        raise PathUnknown("There is no such path in the Open Inference Protocol.")
    return steps


def _document(answer: Answer) -> Document:
    headers = None
    if answer.json_length is not None:
        headers = {INFERENCE_HEADER_LENGTH: str(answer.json_length)}
    return Document(answer.body, status=answer.status, content_type=answer.content_type, headers=headers)
