"""What the gateway asks of whatever answers for an environment; two modules are one: `oip` and `embedded`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from contracts.environments import Environment
from contracts.facts import Facts
from gateway.asked import Asked


@dataclass(frozen=True, slots=True)
class Email:
    """One message of a request, as it goes to the model."""

    data: bytes
    """Raw (RFC 5322), or a `contracts.emails.StructuredEmail` as JSON that was validated."""
    structured: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model version says of one e-mail."""

    verdict: str
    probability: float
    """Of the last class."""
    numeric: Sequence[float]
    """The numbers that the model saw, in the contract's order."""
    facts: Facts
    explanation: Mapping[str, Any] | None = None
    """`contracts.explanations.Explanation` as a document, if it was asked for."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to the e-mails of one request, in their order, all by one version."""

    model: str
    version: str
    items: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is passed through of the Open Inference Protocol: an answer and its status, as the client gets it.

    Errors are raised instead (`gateway.errors`); the words of an upstream never reach a client.
    """

    body: bytes
    content_type: str
    version: str | None = None
    json_length: int | None = None
    """Bytes of JSON before binary tensors (`Inference-Header-Content-Length`)."""
    status: int = 200
    rows: Sequence["Row"] = field(default=())
    """What is to be remembered: one for each row of an inference."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a passed-through inference, for the records."""

    probability: float
    label: str
    numeric: Sequence[float]
    facts: Facts
    message_sha256: str | None = None


class Served(NamedTuple):
    """A model that answers in an environment."""

    model: str
    environment: Environment
    version: str | None
    """None if only the upstream knows it."""
    since: datetime | None
    transformer: bool
    """True if it takes e-mails."""
    figures: Mapping[str, float]
    """Of its certificate, where the bundle can be read; else empty."""


class Readiness(NamedTuple):
    """Whether an environment answers now."""

    ready: bool
    reason: str | None = None
    """For people; None when ready."""


class Backend(Protocol):
    """Answers for every environment that this gateway serves. Each method is called on the event loop.

    All raise the errors of `gateway.errors` (`UpstreamError` and its leaves, `ModelUnknown`, …) and nothing
    else; none waits beyond the deadline of what is asked.
    """

    async def start(self) -> None:
        """Opens what is needed; called once, before the first request."""

    async def close(self) -> None:
        """Closes it; called once, after the last answer."""

    async def predict(self, asked: Asked, emails: Sequence[Email], *, explain: bool = False) -> Predictions:
        """Returns the answers to 1 to `settings.max_batch` e-mails, all by one version."""

    async def passed(
        self, asked: Asked | None, method: str, path: Sequence[str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Returns the answer to `/v2/{path}` as the Open Inference Protocol has it.

        `headers` holds, in lower case, those of the request that the protocol reads. `asked` is None for what
        names no model (`/v2`, `/v2/health/…`).
        """

    def served(self, environment: Environment) -> Sequence[Served]:
        """Returns what answers in the environment, by name."""

    def readiness(self, environment: Environment) -> Readiness:
        """Tells whether the environment answers, as it was last seen; asks nobody."""
