"""What is compared: how a system is asked with one raw e-mail, what it does, and how its answer reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving import load
from serving.runtimes.triton import Triton


@dataclass(frozen=True)
class System:
    """One way to have an e-mail judged."""

    name: str
    does: str
    """What it does for one request, for people."""
    settings: str
    """How it is run on two cores, for people."""
    path: str
    body: Callable[[bytes], bytes]
    """From a raw e-mail to the body of a request."""
    probability: Callable[[bytes], float]
    """From the body of an answer to the probability of spam."""
    headers: Callable[[bytes], Mapping[str, str]] = field(default=lambda _email: {})
    senders: bool = False
    """Whether the senders' history is looked up and Triton asked; without it every sender is unknown."""
    ours: bool = False
    gateway: bool = False
    """Whether it is the gateway, which remembers what it answered."""
    restless: bool = False
    """It works while nobody asks, and is held still while others are measured."""

    def request(self, host: str, email: bytes) -> bytes:
        """Returns the bytes of a request for one e-mail."""
        return load.post(host, self.path, self.body(email), self.headers(email))


@dataclass(frozen=True)
class Program:
    """How a system is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    seconds: float = 120.0


@dataclass(frozen=True)
class Running:
    """A system that answers."""

    system: System
    host: str
    """host:port."""
    pids: tuple[int, ...]
    """Of each program that works for it: those below them are counted with them."""
    front: int
    """Of the program that is asked; its memory is told apart."""


@dataclass(frozen=True)
class Subject:
    """The model and the machine's state that every system is given."""

    bundle: Path
    root: Path
    """The state folder (SLUICE_HOME) with the corpus, the registry and the senders' history."""
    folder: Path
    """A temporary folder for what the systems write."""
    triton: Triton | None = None
    """The one that our own transformer asks."""
