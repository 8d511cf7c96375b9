"""Files that are either whole or absent, and locks between processes."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kit.errors import OperationalError

_CHUNK_BYTES = 1 << 20


class Locked(OperationalError):
    """Another process is at the same work."""

    code = "locked"
    title = "Another process holds the lock"


@contextlib.contextmanager
def replaced(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it takes the place of `path` in one step.

    A crash or an error leaves the former `path` as it was. The new content is synced before the switch, and
    only its owner can read it until then; `mode` is who may do so from then on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with replaced(path, mode=mode) as part:
        part.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Returns the hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(path: Path, *, what: str, timeout_seconds: float = 0) -> Iterator[None]:
    """Holds an exclusive lock at `path` for the block; the system frees it when the process dies.

    Raises:
        Locked: another process held it for `timeout_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout as exc:
        raise Locked(
            f"{what} is under way in another process.", next_step="Wait for it, then try again."
        ) from exc
    try:
        yield
    finally:
        lock.release()
