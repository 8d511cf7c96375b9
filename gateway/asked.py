"""Who asks what, and until when: what every part of the gateway knows of one request."""

from dataclasses import dataclass

from contracts.environments import Environment


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the key of a request; made by `gateway.access`."""

    key_id: str
    """Public part of the key; no secret."""
    name: str
    """What the key was given for; written to `feedback.submitted_by` and to logs."""
    environments: frozenset[Environment]
    models: frozenset[str] | None = None
    """Models it may ask; None for all."""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a model, after it was let in."""

    request_id: str
    environment: Environment
    model: str
    caller: Caller
    deadline: float
    """In the event loop's time (`loop.time()`): nobody waits longer."""
    traceparent: str
    """Of this request's span, to be passed on."""
