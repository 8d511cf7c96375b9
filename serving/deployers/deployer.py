"""How a model version gets to where it answers: the steps that every place of serving offers.

A move is prepare, verify, switch, retire; before the switch it is taken back by `abandon`, after it by a
switch to the version that served before. serving/promotion/ owns that order. A deployer remembers nothing
between the steps but what can be seen from outside (processes, routes, resources), and every step may be
repeated: done already, it returns at once. So the next command can end what a crash left behind.

Errors::

    OperationalError
    ├── ServingUnreachable    503  the place of serving does not answer
    ├── CandidateNotReady     503  the version could not be loaded, or was not ready in time
    └── SwitchFailed          503  the version is loaded, but requests did not come to it in time
    Refused
    └── CandidateRefused      422  the version answers, and not as its bundle says; with reasons
"""

from typing import Protocol

from contracts.environments import Environment
from kit.bundle import Bundle
from kit.errors import OperationalError, Refused


class ServingUnreachable(OperationalError):
    """The place of serving does not answer, or refuses us."""

    code = "serving_unreachable"
    title = "Serving does not answer"


class CandidateNotReady(OperationalError):
    """The version could not be loaded beside the one that serves."""

    code = "candidate_not_ready"
    title = "The model version did not become ready"


class SwitchFailed(OperationalError):
    """Requests did not come to the version in time."""

    code = "switch_failed"
    title = "The switch to another model version failed"


class CandidateRefused(Refused):
    """The version answers other than its bundle says; `reasons` holds what differs."""

    code = "candidate_refused"
    title = "The model version answers wrongly"


class Deployer(Protocol):
    """A place where model versions serve: this machine, or a cluster.

    `version` is the registry's number as text; `bundle` is the verified bundle of that very version.
    """

    @property
    def place(self) -> str:
        """Where this is, for people: a few words that end a sentence."""
        ...

    def reachable(self) -> None:
        """Returns if the place answers.

        Raises:
            ServingUnreachable: it does not, or refuses the credentials; the message says which.
        """
        ...

    def running(self, environment: Environment) -> bool:
        """Tells whether anything serves in `environment` here; if not, there is nothing to switch."""
        ...

    def current(self, model: str, environment: Environment) -> str | None:
        """Returns the version that requests are answered by now, or None."""
        ...

    def loaded(self, model: str, environment: Environment) -> frozenset[str]:
        """Returns every version that is loaded: the current one, and a candidate beside it."""
        ...

    def prepare(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Loads `version` beside the current one and waits until it is ready; no request goes to it.

        Raises:
            CandidateNotReady: it cannot be loaded, with the reason.
            ServingUnreachable: the place does not answer.
        """
        ...

    def verify(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Asks the prepared `version` through the wire: its contract, and golden rows.

        Raises:
            CandidateRefused: its metadata or an answer differs from the bundle's.
            ServingUnreachable: the place does not answer.
        """
        ...

    def switch(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Makes `version` the one that answers; no request is lost on the way.

        Returns when every new request is answered by it. The former version stays loaded.

        Raises:
            SwitchFailed: requests still go to another version; which one, `current` tells.
            ServingUnreachable: the place does not answer.
        """
        ...

    def retire(self, model: str, environment: Environment, version: str) -> None:
        """Unloads `version`, which served before; requests in flight end on it. Never the current one."""
        ...

    def abandon(self, model: str, environment: Environment, version: str) -> None:
        """Takes `prepare` back: unloads a candidate that never served. Never the current one."""
        ...
