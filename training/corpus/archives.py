"""Messages inside tar and zip archives, read entry by entry and never written to disk.

Nothing is extracted, so no name can lead outside; links and devices are not followed. What an archive unpacks
to is counted while it is read, so a bomb ends at the limit and not at the end of the memory.
"""

import bz2
import contextlib
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final, NamedTuple, Protocol, cast

from feature_repo.mailboxes import Lines
from training.corpus.errors import SourceTooLarge, SourceUnreadable
from training.corpus.found import Reason

_ENCRYPTED: Final = 0x1
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error,
    NotImplementedError, OSError,
)  # fmt: skip


class Content(Lines, Protocol):
    """Bytes that can be read at once or line by line."""

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes."""
        ...


class Entry(NamedTuple):
    """One entry of an archive: its path, and its content until the next entry is asked for.

    `content` is None where `reason` says why it is not read.
    """

    path: PurePosixPath
    content: Content | None
    reason: Reason | None = None


def is_archive(path: Path) -> bool:
    """Returns whether the file at `path` is a zip or a (compressed) tar archive, by its content."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def entries(path: Path, *, unpacked_max_bytes: int) -> Iterator[Entry]:
    """Yields the files and the oddities of the archive at `path`; folders are no entries.

    Raises:
        SourceTooLarge: it unpacks to more than `unpacked_max_bytes`.
        SourceUnreadable: it is damaged, encrypted, or compressed in an unknown way.
    """
    read = _zip_entries if zipfile.is_zipfile(path) else _tar_entries
    with _translated(path):
        yield from read(path, unpacked_max_bytes)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as exc:
        raise SourceUnreadable(
            f"{path.name} is damaged, or no archive that can be read here: {type(exc).__name__}.",
            next_step="Fetch it anew, or unpack it yourself and name the folder.",
        ) from exc


class _Meter:
    def __init__(self, path: Path, limit: int) -> None:
        self.path, self._limit, self._count = path, limit, 0

    def count(self, chunk: bytes) -> bytes:
        self._count += len(chunk)
        if self._count > self._limit:
            raise SourceTooLarge(
                f"{self.path.name} unpacks to more than {self._limit:,} bytes.",
                next_step="If you trust it, raise TRAINING_UNPACKED_MAX_BYTES.",
            )
        return chunk


class _Metered:
    """A stream that counts what is read of it; damage is often seen only while an entry is read."""

    def __init__(self, stream: IO[bytes], meter: _Meter) -> None:
        self._stream, self._meter = stream, meter

    def read(self, size: int) -> bytes:
        with _translated(self._meter.path):
            return self._meter.count(self._stream.read(size))

    def readline(self, size: int) -> bytes:
        with _translated(self._meter.path):
            return self._meter.count(self._stream.readline(size))


def _tar_entries(path: Path, limit: int) -> Iterator[Entry]:
    # All of a tar is counted, skipped entries too: they must be unpacked to be skipped. Contents are counted
    # once more by themselves: a sparse entry is longer than its bytes in the archive.
    outer, inner = _Meter(path, limit), _Meter(path, limit)
    with (
        _unpacked(path) as stream,
        tarfile.open(fileobj=cast("IO[bytes]", _Metered(stream, outer)), mode="r|") as archive,
    ):
        for member in archive:
            if member.isdir():
                continue
            name = PurePosixPath(member.name)
            reason = _reason_against(name, is_file=member.isfile())
            content = None if reason else archive.extractfile(member)
            yield Entry(name, _Metered(content, inner) if content else None, reason)


def _unpacked(path: Path) -> IO[bytes]:
    with path.open("rb") as probe:
        head = probe.read(8)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    if head.startswith(b"BZh"):
        return bz2.open(path)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(path)
    return path.open("rb")


def _zip_entries(path: Path, limit: int) -> Iterator[Entry]:
    meter = _Meter(path, limit)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if member.flag_bits & _ENCRYPTED:
                raise SourceUnreadable(
                    f"{path.name} is encrypted.", next_step="Unpack it yourself and name the folder."
                )
            name = PurePosixPath(member.filename.replace("\\", "/"))
            mode = stat.S_IFMT(member.external_attr >> 16)
            reason = _reason_against(name, is_file=mode in {0, stat.S_IFREG})
            if reason:
                yield Entry(name, None, reason)
                continue
            with archive.open(member) as content:
                yield Entry(name, _Metered(content, meter))


def _reason_against(name: PurePosixPath, *, is_file: bool) -> Reason | None:
    if name.is_absolute() or ".." in name.parts or _DRIVE.fullmatch("".join(name.parts[:1])):
        return Reason.UNSAFE_PATH
    return None if is_file else Reason.NOT_A_FILE
