"""What goes in and comes out of /v1: the OpenAPI document is made of it, and tests hold answers to it.

Requests are checked by `gateway.emails`, and answers are written field by field: building these objects for
each request would cost more than the rest of the gateway's own work.
"""

from datetime import datetime
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.emails import StructuredEmail
from contracts.environments import Environment
from contracts.explanations import Explanation
from contracts.labels import Label
from records.repositories.feedback import Outcome

REQUEST_ID: Final = r"^[A-Za-z0-9._:-]{1,100}$"
"""Of a request id that a caller may choose; longer ones are made from it (`ID.3`, `ID~shadow`)."""


class _Document(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


class RawEmail(_Document):
    """An e-mail as it came, in one string."""

    raw: str = Field(min_length=1)
    """The whole message (RFC 5322), head and body. Bytes that are no UTF-8: send them as `message/rfc822`."""


class EmailVerdict(_Document):
    """What the model says of one e-mail."""

    request_id: str
    """The name of this answer: for feedback, and to look it up."""
    verdict: Label
    """What to act on: spam from the threshold on."""
    probability: float = Field(ge=0, le=1)
    """Of spam."""
    threshold: float | None = Field(ge=0, le=1)
    """Of the version that answered; null where the likelier class decides."""
    environment: Environment
    model: str
    version: str
    latency_ms: float = Field(ge=0)
    """From the head of the request to this answer, inside the gateway."""
    explanation: Explanation | None = None
    """What decided, if it was asked for."""


class Batch(_Document):
    """Several e-mails at once."""

    emails: list[RawEmail | StructuredEmail] = Field(min_length=1)
    """Each one raw or in fields. One that is wrong gets a problem, and the others their verdicts."""


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    type: str
    """`urn:sluice:problem:` and the code."""
    title: str
    """The code in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong with this very request."""
    code: str
    """Stable, for programs."""
    timestamp: AwareDatetime
    request_id: str
    next_step: str | None = None
    """What to do about it."""
    errors: list["Fault"] | None = None
    """With status 422: each field that is wrong."""


class Fault(_Document):
    """One field that is wrong."""

    field: str
    reason: str


class BatchItem(_Document):
    """What came of one e-mail of a batch: a result or a problem."""

    index: int = Field(ge=0)
    """Its place in the request, from 0."""
    result: "BatchVerdict | None" = None
    problem: Problem | None = None


class BatchVerdict(_Document):
    """What the model says of one e-mail of a batch; what is common to all stands beside them."""

    request_id: str
    verdict: Label
    probability: float = Field(ge=0, le=1)
    threshold: float | None = Field(ge=0, le=1)
    explanation: Explanation | None = None


class BatchAnswer(_Document):
    """The answers to a batch, in the order of its e-mails."""

    request_id: str
    environment: Environment
    model: str
    version: str | None
    """Null if no e-mail could be answered."""
    latency_ms: float = Field(ge=0)
    answered: int = Field(ge=0)
    """E-mails with a result."""
    refused: int = Field(ge=0)
    """E-mails with a problem."""
    items: list[BatchItem]


class NewFeedback(_Document):
    """What an e-mail really was."""

    request_id: str = Field(min_length=1, max_length=128)
    """Of the answer: `request_id` of a verdict."""
    label: Label


class FeedbackAnswer(_Document):
    """What the feedback changed."""

    request_id: str
    label: Label
    outcome: Outcome
    """Whether there was none before, another one, or the same."""


class ServedModel(_Document):
    """A model that answers in an environment."""

    model: str
    environment: Environment
    version: str | None
    """Null if only the model server knows it."""
    since: datetime | None
    """When this version began to answer there; null if it is not known."""
    takes: Literal["emails", "tensors"]
    """What it is asked with: e-mails by /v1 or /v2, or tensors by /v2."""
    figures: dict[str, float]
    """From its evaluation; empty if they are not known here."""


class ServedModels(_Document):
    """What answers where, as far as the key reaches."""

    models: list[ServedModel]


class Live(_Document):
    """The process runs."""

    status: Literal["live"]


class Ready(_Document):
    """An environment answers at least."""

    status: Literal["ready", "degraded"]
    environments: dict[str, bool]
    """Whether each one answers."""
    degraded: list[str] = []
    """What does not work as it should while requests are still answered."""
