"""The one place in which a run of the loop works, for each model: a lock that the run's own process holds.

The process inherits the open lock file, so the system frees the slot when it ends, however it ends, and
whether or not the process that started it is still there.
"""

import fcntl
import os
from pathlib import Path
from typing import Final
from uuid import uuid4

from kit.files import locked, write_text
from kit.home import Home

FOLDER: Final = "retraining"


def folder(home: Home) -> Path:
    """Returns where the loop keeps locks and what its processes say."""
    return home.root / "monitoring" / FOLDER


def machine(home: Home) -> str:
    """Returns a name for this home that no other one has: only who shares it can look at its slots."""
    path = folder(home) / "machine"
    if not path.exists():
        with locked(path.with_suffix(".lock"), what="The naming of this machine", timeout_seconds=10):
            if not path.exists():
                write_text(path, uuid4().hex)
    return path.read_text(encoding="utf-8")


def take(home: Home, model: str) -> int | None:
    """Returns the open lock file of the model's slot, or None if a run is in it.

    Hand it on to a process and close it; or close it, and the slot is free.
    """
    path = folder(home) / f"{model}.slot"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_taken(home: Home, model: str) -> bool:
    """Tells whether a run is in the slot of `model`."""
    descriptor = take(home, model)
    if descriptor is None:
        return True
    close(descriptor)
    return False


def close(descriptor: int) -> None:
    """Gives up this process' hold of a slot; it is free once no process holds it."""
    os.close(descriptor)
