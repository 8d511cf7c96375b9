"""What an input is, and the parts it falls into: always the same ones for the same files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from serving.batch import files, parquet
from serving.batch.errors import InputRefused
from serving.batch.rows import Limits

Part = parquet.ParquetPart | files.FilesPart | files.MboxPart
_ENVELOPE: Final = b"From "


class Kind(StrEnum):
    """The forms that an input may have."""

    PARQUET = "parquet"
    MBOX = "mbox"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Source:
    """An input that was looked at."""

    path: Path
    kind: Kind

    def parts(self, limits: Limits, part_rows: int) -> list[Part]:
        """Returns the parts in the order of the input.

        Raises:
            InputRefused: there are no rows, a Parquet file is damaged or lacks a column, or the model takes
                columns and the input has none.
        """
        if self.kind is not Kind.PARQUET and not limits.reads_mail:
            raise InputRefused(
                f"The model {limits.contract.workload} takes columns, and {self.path} holds messages.",
                next_step="Score a Parquet file with the model's input columns.",
            )
        found = list(self._parts(limits, part_rows))
        if not found:
            raise InputRefused(f"There is nothing to score in {self.path}.", next_step="Check the path.")
        return found

    def digest(self) -> str:
        """Returns a hash over names, sizes and times of the files: another one means another input."""
        listing = hashlib.sha256(self.kind.encode())
        for name in self._names():
            status = (self.path / name).lstat()
            shown = name.encode("utf-8", "surrogateescape")
            listing.update(b"%s\0%d\0%d\0%d\n" % (shown, status.st_mode, status.st_size, status.st_mtime_ns))
        return listing.hexdigest()

    def _names(self) -> list[str]:
        return _names(self.path) if self.path.is_dir() else [""]

    def _parts(self, limits: Limits, part_rows: int) -> Iterator[Part]:
        if self.kind is Kind.MBOX:
            yield from files.mbox_parts(self.path, self.path.name, part_rows)
        elif self.kind is Kind.PARQUET:
            for name in self._names():
                if not _is_aside(name):
                    yield from parquet.parts(self.path / name, limits, part_rows)
        else:
            names = self._names()
            boxes = [name for name in names if name.lower().endswith(files.MBOX_SUFFIX)]
            boxes = [name for name in boxes if not (self.path / name).is_symlink()]
            yield from files.file_parts(self.path, sorted({*names} - {*boxes}), part_rows)
            for name in boxes:
                yield from files.mbox_parts(self.path / name, name, part_rows)


def source(path: Path) -> Source:
    """Returns what `path` is: a Parquet file or a folder of them, an mbox, or a folder of messages.

    Raises:
        InputRefused: it is absent, empty, a folder of Parquet files and others, or neither of these forms.
    """
    try:
        if path.is_dir():
            return _folder(path)
        with path.open("rb") as content:
            head = content.read(len(_ENVELOPE))
    except OSError as exc:
        raise InputRefused(
            f"{path} cannot be read ({exc.strerror}).", next_step="Check the path and its permissions."
        ) from exc
    if not head:
        raise InputRefused(f"{path} is empty.", next_step="Check what should have written it.")
    if path.suffix.lower() == parquet.SUFFIX:
        return Source(path, Kind.PARQUET)
    if path.suffix.lower() == files.MBOX_SUFFIX or head == _ENVELOPE:
        return Source(path, Kind.MBOX)
    raise InputRefused(
        f"{path} is neither Parquet ({parquet.SUFFIX}) nor an mbox ({files.MBOX_SUFFIX}).",
        next_step="For single messages: sluice predict FILE, or put them into a folder.",
    )


def _folder(path: Path) -> Source:
    names = [name for name in _names(path) if not _is_aside(name)]
    tables = [name for name in names if name.lower().endswith(parquet.SUFFIX)]
    if not names:
        raise InputRefused(f"The folder {path} is empty.", next_step="Check the path.")
    if tables and len(tables) < len(names):
        raise InputRefused(
            f"The folder {path} holds {len(tables)} Parquet files and {len(names) - len(tables)} others.",
            next_step="Score either Parquet or messages.",
        )
    return Source(path, Kind.PARQUET if tables else Kind.FOLDER)


def _names(folder: Path) -> list[str]:
    # Path.rglob follows no links to folders; a link is then listed as an entry of its own.
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(folder)) for path in found)


def _is_aside(name: str) -> bool:
    """Returns whether the file is one that writers of Parquet leave beside it (`_SUCCESS`, `.crc`)."""
    return Path(name).name.startswith(("_", "."))
