"""The spool: rows on this machine's disk that wait for the database, oldest first, bounded.

Every method blocks on the disk, and all of them are called from one thread. Rows leave the disk only when
they are forgotten, which is after their commit: a process that dies in between writes them once more, and
the database keeps each request id once.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog

from gateway.memory import folders, rows
from gateway.memory.folders import Folder
from gateway.memory.segments import Growing, Segment
from records.repositories.predictions import NewPrediction

Fsync = Literal["always", "interval", "never"]

SEGMENT_BYTES: Final = 4 << 20
_SEGMENTS_MIN: Final = 16
"""So that what is done can be removed bit by bit, however small the spool."""
_WARN: Final = 0.8
_CALM: Final = 0.5


class Waiting(NamedTuple):
    """Rows that were read and are not forgotten, and how many lines between them were no rows."""

    rows: list[NewPrediction]
    unreadable: int
    segment: Segment
    end: int


class Spool:
    """The spool in the folder `path`; nothing is made there before the first row or `open`."""

    def __init__(self, path: Path, *, max_bytes: int, fsync: Fsync, fsync_seconds: float) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // _SEGMENTS_MIN)
        self._fsync = fsync
        self._fsync_seconds = fsync_seconds
        self._synced_at = time.monotonic()
        self._own: Folder | None = None
        self._others: list[Folder] = []
        self._segments: list[Segment] = []
        self._growing: Growing | None = None
        self._warned = False
        self._log = structlog.get_logger(__name__)
        self.bytes = 0
        """What waits. Other threads may read it."""

    @property
    def unsynced(self) -> bool:
        """Whether something that was added should be on the disk soon, and is not."""
        return self._fsync == "interval" and self._growing is not None and self._growing.unsynced

    def open(self) -> None:
        """Takes over what dead processes left, and makes a folder for this one.

        Raises:
            OSError: the folder cannot be made, read or written.
        """
        self.take_over()
        if self._own is None:
            self._own = folders.made(self._path)

    def take_over(self) -> None:
        """Takes over the rows of processes that are no more.

        Raises:
            OSError: the folder cannot be read, or another process does not let go of its lock.
        """
        for folder in folders.taken_over(self._path):
            found = [Segment(path) for path in folder.segments()]
            for segment in found:
                if segment.done:
                    self._remove(segment)
            waiting = [segment for segment in found if not segment.done]
            if not waiting:
                folder.leave()
                continue
            self._others.append(folder)
            self._segments = sorted([*waiting, *self._segments], key=lambda segment: segment.path.name)
            self._count()
            self._log.info("spool_taken_over", folder=folder.path.name, bytes=sum(s.size for s in waiting))

    def append(self, predictions: Sequence[NewPrediction], *, sync: bool = False) -> int:
        """Adds rows and returns how many: less than all if the spool is full then.

        `sync` forces them to the disk, whatever the setting.

        Raises:
            OSError: the disk takes none of them.
        """
        room = self._max_bytes - self.bytes
        lines: list[bytes] = []
        size = 0
        for prediction in predictions:
            text = rows.line(prediction)
            if size + len(text) > room:
                break
            lines.append(text)
            size += len(text)
        if lines:
            growing = self._grown()
            try:
                growing.append(b"".join(lines), sync=sync or self._fsync == "always")
            except OSError:
                if growing.broken:
                    self._seal()
                raise
            self._count()
            self.sync(due_only=True)
        return len(lines)

    def sync(self, *, due_only: bool = False) -> None:
        """Forces to the disk what was added; with `due_only` if the setting says that it is time.

        Raises:
            OSError: the disk does not take it.
        """
        if self._growing is None or not self._growing.unsynced:
            return
        if due_only and not (
            self._fsync == "interval" and time.monotonic() - self._synced_at >= self._fsync_seconds
        ):
            return
        self._growing.sync()
        self._synced_at = time.monotonic()

    def read(self, limit: int) -> Waiting | None:
        """Returns the oldest rows, at most `limit`; None if nothing waits."""
        while self._segments:
            segment = self._segments[0]
            try:
                found, unreadable, end = segment.read(limit)
            except OSError as error:
                self._log.exception("spool_segment_unreadable", file=str(segment.path), reason=error.strerror)
                self._forget(segment)
                continue
            if found or unreadable:
                return Waiting(found, unreadable, segment, end)
            self._forget(segment)
            if segment is not self._growing:
                self._remove(segment)
        return None

    def forget(self, waiting: Waiting) -> None:
        """Removes rows that `read` gave and that are in the database now."""
        segment = waiting.segment
        segment.position = waiting.end
        if not segment.done:
            return
        self._forget(segment)
        if segment is self._growing:
            try:
                self._growing.empty()
            except OSError:
                self._seal()
        else:
            self._remove(segment)

    def close(self) -> None:
        """Forces everything to the disk and leaves the folders; what waits stays there.

        Raises:
            OSError: the disk does not take it.
        """
        try:
            self.sync()
        finally:
            self._seal()
            held, self._own, self._others = [self._own, *self._others], None, []
            for folder in held:
                if folder is not None:
                    folder.leave()

    def _grown(self) -> Growing:
        """Returns the segment to add to."""
        if self._growing is not None and self._growing.size >= self._segment_bytes:
            self.sync()
            self._seal()
        if self._growing is None:
            if self._own is None or not self._own.path.is_dir():  # never made, or taken away from under us
                self._own = folders.made(self._path)
            self._growing = Growing(self._own.path / f"{time.time_ns():020d}{folders.SUFFIX}")
            if self._fsync != "never":
                _sync_folder(self._own.path)
        if self._growing not in self._segments:
            self._segments.append(self._growing)
        return self._growing

    def _seal(self) -> None:
        growing, self._growing = self._growing, None
        if growing is None:
            return
        growing.close()
        if growing.done:
            self._forget(growing)
            self._remove(growing)

    def _remove(self, segment: Segment) -> None:
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            # Its rows are written once more at the next start, which changes nothing.
            self._log.warning("spool_segment_not_removed", file=str(segment.path), reason=error.strerror)

    def _forget(self, segment: Segment) -> None:
        if segment in self._segments:
            self._segments.remove(segment)
        self._count()

    def _count(self) -> None:
        self.bytes = sum(segment.size for segment in self._segments)
        share = self.bytes / self._max_bytes
        if share >= _WARN and not self._warned:
            self._warned = True
            self._log.warning("spool_nearly_full", bytes=self.bytes, limit_bytes=self._max_bytes)
        elif share < _CALM:
            self._warned = False


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
