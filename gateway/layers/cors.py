"""Calls from pages of other origins, by an allow-list: Starlette's layer, with problems for its refusals."""

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from contracts import headers as names
from contracts.environments import HEADER as ENVIRONMENT_HEADER
from gateway.errors import RequestInvalid
from gateway.http import App

_TAKEN: Final = (
    "Authorization", "Content-Type", names.API_KEY, ENVIRONMENT_HEADER, names.REQUEST_ID, names.TRACEPARENT,
    names.TIMEOUT_MS, names.INFERENCE_HEADER_LENGTH,
)  # fmt: skip
_TOLD: Final = (
    names.REQUEST_ID, ENVIRONMENT_HEADER, names.MODEL_VERSION, names.INFERENCE_HEADER_LENGTH, "Retry-After",
    "RateLimit", "RateLimit-Policy", "WWW-Authenticate", "Allow",
)  # fmt: skip
_REFUSED: Final = 400
_DAY_SECONDS: Final = 86_400


class Cors(CORSMiddleware):
    """Answers preflights and marks answers; cookies are never asked for, as keys travel in a header."""

    def __init__(self, app: App, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=_TAKEN,
            expose_headers=_TOLD,
            allow_credentials=False,
            max_age=_DAY_SECONDS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Returns the answer to a preflight.

        Raises:
            RequestInvalid: the origin, its method or its headers are not allowed.
        """
        response = super().preflight_response(request_headers)
        if response.status_code >= _REFUSED:
            raise RequestInvalid(
                "This origin, its method or one of its headers is not allowed.",
                next_step="Ask whoever runs the gateway to allow the origin (GATEWAY_CORS_ORIGINS).",
            )
        return response
