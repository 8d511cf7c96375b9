"""The access log: one line for each request, with what an operator looks for and nothing of what was sent."""

import structlog

from gateway.passage import Passage
from kit.errors import SluiceError

_EVENT = "request"


class AccessLog:
    """Writes it."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(__name__)

    def told(self, passage: Passage, method: str, route: str, status: int, seconds: float) -> None:
        """Writes the line of one request; at error if it was our fault."""
        level = self._log.error if status == SluiceError.status else self._log.info
        level(
            _EVENT,
            method=method,
            route=route,
            status=status,
            code=passage.code,
            environment=passage.environment,
            version=passage.version,
            emails=passage.emails,
            key=passage.caller.key_id if passage.caller is not None else None,
            key_name=passage.caller.name if passage.caller is not None else None,
            address=passage.address,
            ms=round(seconds * 1000, 3),
            request_id=passage.request_id,
            trace_id=passage.traceparent[3:35],
        )
