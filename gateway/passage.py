"""One request on its way through the gateway: what is known of it, for logs, metrics and the answer."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.environments import Environment
from gateway.asked import Caller

_KEY: Final = "sluice.passage"


@dataclass(slots=True)
class Passage:
    """Made when the head of a request is there; filled in as it is let in and answered."""

    request_id: str
    traceparent: str
    """Of this request's span, to be passed on."""
    begun: float
    """`time.perf_counter()` when its head was there."""
    headers: Mapping[str, str]
    """Names in lower case; of a name that came twice, the first value."""
    repeated: frozenset[str]
    """Names that came more than once."""
    address: str
    """Of the client; of a trusted proxy's client, if one stands between."""
    proxied: bool
    """Whether a proxy says that it stands between; it need not be trusted."""
    environment: Environment | None = None
    version: str | None = None
    caller: Caller | None = None
    code: str | None = None
    """Of the error that it was answered with."""
    emails: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    """What the answer's head says beside its body."""


def passage_of(scope: MutableMapping[str, Any]) -> Passage:
    """Returns the passage of a request that came through the first layer."""
    passage: Passage = scope[_KEY]
    return passage


def begin(scope: MutableMapping[str, Any], passage: Passage) -> None:
    """Ties a passage to its request."""
    scope[_KEY] = passage
