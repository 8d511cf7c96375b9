"""What the steps of a run tell while they run: one JSON line an event, in a file that the command follows.

On a cluster there is no such file: the same sentences go to the log of the task.
"""

import json
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from kit.terminal import say

EVENTS: Final = "events.jsonl"


class Kind(StrEnum):
    """What happened to a step."""

    STARTED = "started"
    TOLD = "told"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"


class Failure(BaseModel):
    """Why a step failed, for a person; the exit code is that of the command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    title: str
    message: str
    reasons: tuple[str, ...] = ()
    next_step: str | None = None
    exit_code: int


class Event(BaseModel):
    """Something that happened to a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    kind: Kind
    sentence: str = ""
    seconds: float = 0.0
    figures: dict[str, Any] = {}
    output: str = ""
    """The folder with the step's output, once it is done."""
    failure: Failure | None = None


class Journal:
    """Where the events of one run go."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / EVENTS

    def write(self, event: Event) -> None:
        """Appends an event, in one write, so that a reader never sees half of it."""
        if self._path is None:
            say(f"{event.step}: {event.kind} {event.sentence} {json.dumps(event.figures, default=str)}")
            return
        line = (event.model_dump_json(exclude_defaults=True) + "\n").encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


class Follower:
    """Reads the events of a run as they come."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._offset = 0

    def new(self) -> Iterator[Event]:
        """Yields the whole events that were written since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield Event.model_validate_json(line)
