"""One file of the spool: rows are added at its end and read from its beginning."""

import os
from pathlib import Path
from typing import Final

from gateway.memory import rows
from records.repositories.predictions import NewPrediction

_LINE_BYTES_MAX: Final = 1 << 20
"""No row is so long; what is, is damage."""


class Segment:
    """A file of rows; up to `size` it may be read, and up to `position` its rows are done."""

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path = path
        self.size = path.stat().st_size if size is None else size
        self.position = 0

    @property
    def done(self) -> bool:
        """Whether nothing in it waits."""
        return self.position >= self.size

    def read(self, limit: int) -> tuple[list[NewPrediction], int, int]:
        """Returns up to `limit` rows from `position` on, how many lines were no rows, and where they end.

        Raises:
            OSError: the file cannot be read.
        """
        found: list[NewPrediction] = []
        unreadable = 0
        with self.path.open("rb") as source:
            end = source.seek(self.position)
            while end < self.size and len(found) < limit:
                text = source.readline(min(_LINE_BYTES_MAX, self.size - end))
                if not text:
                    end = self.size
                    break
                end += len(text)
                prediction = rows.prediction_of(text)
                if prediction is None:
                    unreadable += 1
                else:
                    found.append(prediction)
        return found, unreadable, end


class Growing(Segment):
    """A segment that is being written; nobody else writes to it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        super().__init__(path, size=0)
        self.unsynced = False
        self.broken = False
        """True if the file ends in what should not be there: nothing more may be added."""

    def append(self, data: bytes, *, sync: bool) -> None:
        """Adds whole lines, on the disk if `sync`; all of them, or none.

        Raises:
            OSError: the disk is full, read-only or broken; what was written of them is taken back.
        """
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            if sync:
                os.fsync(self._descriptor)
        except OSError:
            try:
                os.ftruncate(self._descriptor, self.size)
            except OSError:
                # `size` keeps the torn tail from being read here, and its checksum elsewhere.
                self.broken = True
            raise
        self.size += len(data)
        self.unsynced = not sync

    def sync(self) -> None:
        """Forces what was written to the disk.

        Raises:
            OSError: the disk does not take it.
        """
        os.fsync(self._descriptor)
        self.unsynced = False

    def empty(self) -> None:
        """Makes it empty: everything in it is done.

        Raises:
            OSError: the disk does not take it.
        """
        os.ftruncate(self._descriptor, 0)
        self.size = self.position = 0
        self.unsynced = False

    def close(self) -> None:
        """Closes it; it can still be read."""
        os.close(self._descriptor)
