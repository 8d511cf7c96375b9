"""What the head of every answer says: who answered to what, and how a browser is to treat it."""

from collections.abc import MutableMapping
from typing import Any, Final

from contracts import headers as names
from contracts.environments import HEADER as ENVIRONMENT_HEADER
from gateway.http import App, Receive, Scope, Send
from gateway.passage import passage_of

_REQUEST_ID: Final = names.REQUEST_ID.lower().encode()
_ENVIRONMENT: Final = ENVIRONMENT_HEADER.lower().encode()
_VERSION: Final = names.MODEL_VERSION.lower().encode()
_POLICY: Final = b"content-security-policy"
_SAFETY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_NOTHING_LOADS: Final = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
_HTTPS: Final = (b"strict-transport-security", b"max-age=31536000")


class AnswerHeads:
    """Adds to the head of each answer; what a page says itself (its content policy, its caching) stays."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and its answer back with a fuller head."""
        passage = passage_of(scope)

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                head = message["headers"] = list(message.get("headers", ()))
                said = {name for name, _ in head}
                head.append((_REQUEST_ID, passage.request_id.encode("latin-1")))
                if passage.environment is not None:
                    head.append((_ENVIRONMENT, passage.environment.value.encode()))
                if passage.version is not None:
                    head.append((_VERSION, passage.version.encode("latin-1")))
                head += [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in passage.answer_headers.items()
                    if name.lower().encode("latin-1") not in said
                ]
                head += [(name, value) for name, value in _SAFETY if name not in said]
                if _POLICY not in said:
                    head.append(_NOTHING_LOADS)
                if scope["scheme"] == "https":
                    head.append(_HTTPS)
            await send(message)

        await self._app(scope, receive, told)
