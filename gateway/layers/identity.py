"""The first layer: gives a request its name and its place in a trace."""

import re
import time
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from contracts import headers as names
from gateway.http import App, Receive, Scope, Send
from gateway.passage import Passage, begin
from gateway.schemas import REQUEST_ID
from gateway.trace_context import child_of, parent_of

_REQUEST_ID: Final = names.REQUEST_ID.lower()
_WELL_FORMED: Final = re.compile(REQUEST_ID)
_PROXY_HEADERS: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


class Identity:
    """Makes the passage of each request, and tells its id in the answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on under its name."""
        headers, repeated = _headers(scope)
        given = headers.get(_REQUEST_ID)
        passage = Passage(
            request_id=given if given is not None and _WELL_FORMED.fullmatch(given) else uuid4().hex,
            traceparent=str(child_of(parent_of(headers.get(names.TRACEPARENT)))),
            begun=time.perf_counter(),
            headers=headers,
            repeated=repeated,
            address=(scope.get("client") or ("",))[0],
            proxied=any(name in headers for name in _PROXY_HEADERS),
        )
        begin(scope, passage)
        await self._app(scope, receive, send)


def _headers(scope: Scope) -> tuple[Mapping[str, str], frozenset[str]]:
    """Returns the headers by name, and the names that came more than once.

    White space around a value is none of it (RFC 9110, section 5.5), and the server's parser leaves it there.
    """
    headers: dict[str, str] = {}
    repeated: list[str] = []
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1")
        if name in headers:
            repeated.append(name)
        else:
            headers[name] = raw_value.decode("latin-1").strip(" \t")
    return headers, frozenset(repeated)
