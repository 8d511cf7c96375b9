"""The folders of the spool: one for each process, and those of dead processes to be taken over.

`<spool>/<time>-<pid>-<letters>/` holds the segments of one process and a file `lock` that it holds locked;
the system frees the lock when the process dies, however it does. Folders are made, taken over and removed
under the lock of the whole spool, so that nobody sees one half made.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog
from filelock import FileLock, Timeout

_LOCK: Final = "lock"
_WAIT_SECONDS: Final = 10
SUFFIX: Final = ".segment"


class Folder:
    """A folder that this process holds."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock

    def segments(self) -> list[Path]:
        """Returns the files of rows, oldest first."""
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def leave(self) -> None:
        """Lets go of the folder, and removes it if no rows are left."""
        with _whole(self.path.parent):
            if not self.segments():
                with contextlib.suppress(OSError):  # what else lies in it stays
                    (self.path / _LOCK).unlink(missing_ok=True)
                    self.path.rmdir()
            self._lock.release()


def made(spool: Path) -> Folder:
    """Returns a new folder of this process in `spool`, which is made if absent.

    Raises:
        OSError: it cannot be made, or another process does not let go of the spool's lock.
    """
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _whole(spool):
        path = spool / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        path.mkdir(mode=0o700)
        lock = _locked(path)
        if lock is None:
            raise BlockingIOError(f"{path} is locked already.")
        return Folder(path, lock)


def taken_over(spool: Path) -> list[Folder]:
    """Returns the folders of processes that are no more, oldest first; from now on they are this process'.

    Raises:
        OSError: the spool cannot be read, or another process does not let go of its lock.
    """
    if not spool.is_dir():
        return []
    found = []
    with _whole(spool):
        for path in sorted(entry for entry in spool.iterdir() if entry.is_dir()):
            try:
                lock = _locked(path)
            except OSError as error:
                structlog.get_logger(__name__).warning(
                    "spool_folder_unreadable", folder=str(path), reason=os.strerror(error.errno or 0)
                )
                continue
            if lock is not None:
                found.append(Folder(path, lock))
    return found


def _locked(path: Path) -> FileLock | None:
    lock = FileLock(path / _LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


@contextlib.contextmanager
def _whole(spool: Path) -> Iterator[None]:
    lock = FileLock(spool / _LOCK, thread_local=False)
    try:
        lock.acquire(timeout=_WAIT_SECONDS)
    except Timeout as error:
        raise BlockingIOError(f"Another process holds the lock of {spool}.") from error
    try:
        yield
    finally:
        lock.release()
