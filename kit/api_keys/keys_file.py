"""The file of keys: read whole, replaced in one step, and changed by one process at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from kit.api_keys.keys import Keys
from kit.errors import OperationalError
from kit.files import locked, write_text

_PRIVATE: Final = 0o600
_WAIT_SECONDS: Final = 30
_COMPLAINTS: Final = 3

Result = TypeVar("Result")


class KeysUnreadable(OperationalError):
    """The file of keys cannot be read, or holds something else."""

    code = "keys_unreadable"
    title = "The file of keys cannot be read"


class KeysUnwritable(OperationalError):
    """The file of keys cannot be replaced."""

    code = "keys_unwritable"
    title = "The file of keys cannot be written"


def read(path: Path) -> Keys | None:
    """Returns the keys in the file, or None if there is no file.

    Raises:
        KeysUnreadable: it cannot be read, is no document of keys, or one of another version of Sluice.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise KeysUnreadable(
            f"{path}: {exc.strerror}.", next_step="Make it a file that this user may read (mode 0600)."
        ) from exc
    try:
        return Keys.model_validate_json(content)
    except ValidationError as exc:
        raise KeysUnreadable(
            f"{path} is no file of keys of this version of Sluice: {_complaints(exc)}.",
            next_step="Put back a good copy, or move it away and make keys anew with `sluice keys create`.",
        ) from exc


def write(path: Path, keys: Keys) -> None:
    """Puts the keys into the file, whole or not at all; only its owner may read it.

    Raises:
        KeysUnwritable: the folder or the disk does not take it.
    """
    try:
        write_text(path, keys.model_dump_json(indent=2) + "\n", mode=_PRIVATE)
    except OSError as exc:
        raise _unwritable(path, exc) from exc


def change(path: Path, act: Callable[[Keys], tuple[Keys, Result]]) -> Result:
    """Replaces the keys by what `act` makes of them, and returns what else it returns; nobody comes between.

    Raises:
        KeysUnreadable: the file is broken; it stays as it is.
        KeysUnwritable: it cannot be replaced.
        Locked: another process held the lock for half a minute.
    """
    try:
        with locked(_lock_of(path), what="A change of the keys", timeout_seconds=_WAIT_SECONDS):
            keys, result = act(read(path) or Keys())
            write(path, keys)
            return result
    except OSError as exc:
        raise _unwritable(path, exc) from exc


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _unwritable(path: Path, exc: OSError) -> KeysUnwritable:
    return KeysUnwritable(
        f"{path}: {exc.strerror}.",
        next_step="Run as the user that owns it. A mounted Secret is changed in its cluster: docs/keys.md.",
    )


def _complaints(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [
        ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"])))
        for item in found[:_COMPLAINTS]
    ]
    return "; ".join(told)
