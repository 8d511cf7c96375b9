"""The journal of a move that is under way: one small file, written before each step and gone at the end.

A crash leaves it, and by it the next command knows what was meant and how far it had come. The lock beside it
is freed by the system when its process dies; while it is held, the journal tells who holds it.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.environments import Environment
from kit.errors import OperationalError
from kit.files import Locked, locked, write_text
from kit.home import Home
from records.tables.model_deployments import Action

FOLDER: Final = "promotions"


class JournalUnreadable(OperationalError):
    """The journal of a move is not what was written."""

    code = "journal_unreadable"
    title = "The journal of a promotion cannot be read"


class Step(StrEnum):
    """What a move does, in this order; `return` takes its place when something fails after the switch."""

    OPENED = "opened"
    PREPARE = "prepare"
    VERIFY = "verify"
    SWITCH = "switch"
    RECORD = "record"
    POINT = "point"
    RETIRE = "retire"
    RETURN = "return"


class Move(BaseModel):
    """One environment's move from a version to another: what is meant, and how far it has come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    environment: Environment
    action: Action
    served: str | None
    """The version that answered when the move began; None if nothing did."""
    pointed: str | None
    """The version that the alias pointed at."""
    version: str
    """The version that is to serve."""
    actor: str
    reason: str
    gate: dict[str, Any]
    place: str
    """Where it was made, as the deployer calls itself: only there can it be ended."""
    live: bool
    """True if the environment was serving: then there is something to load and to switch."""
    process: int
    opened_at: datetime
    step: Step = Step.OPENED
    recorded_at: datetime | None = None
    """The time of the move's row in the ledger, fixed before it is written: by it the row is found again."""
    failure: str | None = None
    """Why the move is being taken back."""
    returned_at: datetime | None = None
    """The time of the row that takes the move back, fixed before it is written."""

    @property
    def former(self) -> str | None:
        """The version that the ledger calls the former one: what answered, or what was to answer."""
        others = (each for each in (self.served, self.pointed) if each not in {None, self.version})
        return next(others, None)

    @property
    def sentence(self) -> str:
        """What the move is, in words."""
        verb = "promotion" if self.action is Action.PROMOTE else "rollback"
        return f"The {verb} of {self.model} to version {self.version} in {self.environment}"


class Journal:
    """The file of one model and environment; hold its lock before you write."""

    def __init__(self, home: Home, model: str, environment: Environment) -> None:
        self.path = home.serving / FOLDER / environment.value / f"{model}.json"
        self.model = model
        self.environment = environment

    @contextlib.contextmanager
    def held(self, *, wait_seconds: float = 0) -> Iterator[None]:
        """Holds the lock for the block.

        Raises:
            Locked: another process moves this model in this environment; the message says who.
        """
        what = f"A move of {self.model} in {self.environment}"
        holding = locked(self.path.with_suffix(".lock"), what=what, timeout_seconds=wait_seconds)
        try:
            holding.__enter__()
        except Locked as exc:
            raise self._occupied(exc) from exc
        try:
            yield
        finally:
            holding.__exit__(None, None, None)

    def read(self) -> Move | None:
        """Returns the move that is under way, or that a crash left behind; None if there is none.

        Raises:
            JournalUnreadable: the file was changed by another hand.
        """
        try:
            return Move.model_validate_json(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValidationError, UnicodeDecodeError, OSError) as exc:
            raise JournalUnreadable(
                f"{self.path} is not a journal that this Sluice wrote.",
                next_step="Compare `sluice status` with `sluice model list`, then remove the file.",
            ) from exc

    def write(self, move: Move) -> None:
        """Writes `move` down, whole or not at all."""
        write_text(self.path, move.model_dump_json(indent=1) + "\n")

    def close(self) -> None:
        """Ends the move: nothing of it is left to do."""
        self.path.unlink(missing_ok=True)

    def _occupied(self, locked_out: Locked) -> Locked:
        move = self.read()
        if move is None:
            return locked_out
        since = move.opened_at.astimezone(UTC).isoformat(timespec="seconds")
        return Locked(
            f"{move.sentence} is under way, by {move.actor} since {since} (process {move.process}, "
            f"at the step {move.step}).",
            next_step="Wait for it, then try again.",
        )


def journals(home: Home) -> list[Journal]:
    """Returns every journal that lies on this machine."""
    root = home.serving / FOLDER
    return [
        Journal(home, path.stem, Environment(path.parent.name))
        for path in sorted(root.glob("*/*.json"))
        if path.parent.name in set(Environment)
    ]


def this_process() -> int:
    """Returns the number of this process, for people who look for it."""
    return os.getpid()
