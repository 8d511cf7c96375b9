"""W3C Trace Context: a caller's `traceparent` is read, and one for our own span is written."""

import random
import re
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$")
_VERSION: Final = "00"
_INVALID_VERSION: Final = "ff"
_SAMPLED: Final = 1


class TraceParent(NamedTuple):
    """Where a span stands in a trace."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        """Returns it as the header has it."""
        return f"{_VERSION}-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parent_of(header: str | None) -> TraceParent | None:
    """Returns what a `traceparent` header says; None if there is none, or none that is well formed."""
    found = _FORM.match(header) if header is not None else None
    if found is None:
        return None
    version, trace_id, span_id, flags = found.groups()
    if version == _INVALID_VERSION or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def child_of(parent: TraceParent | None) -> TraceParent:
    """Returns a span below `parent`; without one the beginning of a trace that nobody keeps."""
    # These are names and no secrets: a fast generator does.
    span_id = f"{random.getrandbits(64) or 1:016x}"
    if parent is None:
        return TraceParent(f"{random.getrandbits(128) or 1:032x}", span_id, sampled=False)
    return TraceParent(parent.trace_id, span_id, parent.sampled)
