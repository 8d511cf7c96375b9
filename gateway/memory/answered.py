"""One answer on its way into the records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.environments import Environment
from contracts.facts import Facts


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to one row; cheap to make, checked and converted off the request's path."""

    request_id: str
    created_at: datetime
    environment: Environment
    model: str
    version: str
    facts: Facts
    numeric: Sequence[float]
    probability: float
    label: str
    """The verdict."""
    latency_seconds: float
    message_sha256: str | None = None
    shadow_of: str | None = None


class Recorder(Protocol):
    """Takes answers; `gateway.memory.memory` is it."""

    def record(self, answered: Answered) -> None:
        """Takes one answer. Returns at once, never waits and never raises; what cannot be kept is counted."""
