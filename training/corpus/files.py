"""Messages in a folder, in an archive or in one mbox file, labelled by the names on their way."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from contracts.labels import Label
from feature_repo import mailboxes
from kit.files import sha256_of
from kit.terminal import tracked
from training.corpus import archives
from training.corpus.found import Found, Reason, label_of_names
from training.settings import TrainingSettings

MBOX_SUFFIX: Final = ".mbox"


class FolderSource:
    """Every file below a folder; names below it state the classes."""

    def __init__(self, folder: Path, label: Label | None, settings: TrainingSettings) -> None:
        self._folder, self._label, self._settings = folder, label, settings

    def identity(self) -> dict[str, str]:
        """Returns the folder and a hash over names, sizes and times of its files."""
        listing = hashlib.sha256()
        for path in self._files():
            status = path.lstat()
            name = str(path.relative_to(self._folder)).encode("utf-8", "surrogateescape")
            listing.update(b"%s\0%d\0%d\0%d\n" % (name, status.st_mode, status.st_size, status.st_mtime_ns))
        return _identity("folder", str(self._folder.absolute()), listing.hexdigest(), self._label)

    def entries(self) -> Iterator[Found]:
        """Yields the messages, and what else lies about."""
        files = self._files()
        for path in tracked(files, "Reading files", len(files)):
            inside = PurePosixPath(path.relative_to(self._folder).as_posix())
            if path.is_symlink() or not path.is_file():
                yield Found(b"", None, shown(inside.parent), shown(inside), Reason.NOT_A_FILE)
                continue
            with path.open("rb") as content:
                yield from found_in(
                    inside, archives.Entry(inside, content), self._label, self._settings.message_max_bytes
                )

    def _files(self) -> list[Path]:
        # Path.rglob follows no links to folders; a link is then listed as an entry of its own.
        return sorted(path for path in self._folder.rglob("*") if path.is_symlink() or not path.is_dir())


class ArchiveSource:
    """Every file inside a zip or tar archive; folder names inside it state the classes."""

    def __init__(self, path: Path, location: str, label: Label | None, settings: TrainingSettings) -> None:
        self._path, self._location, self._label, self._settings = path, location, label, settings

    def identity(self) -> dict[str, str]:
        """Returns where the archive came from, and its hash."""
        return _identity("archive", self._location, sha256_of(self._path), self._label)

    def entries(self) -> Iterator[Found]:
        """Yields the messages, and what else is in the archive.

        Raises:
            SourceTooLarge: it unpacks to more than TRAINING_UNPACKED_MAX_BYTES.
            SourceUnreadable: it is damaged, encrypted, or compressed in an unknown way.
        """
        read = archives.entries(self._path, unpacked_max_bytes=self._settings.unpacked_max_bytes)
        for entry in tracked(read, "Reading archive"):
            yield from found_in(entry.path, entry, self._label, self._settings.message_max_bytes)


class MboxSource:
    """One mbox file; its name states the class (`spam.mbox`), or `label` does."""

    def __init__(
        self, path: Path, name: str, location: str, label: Label | None, settings: TrainingSettings
    ) -> None:
        self._path, self._name, self._location = path, name, location
        self._label, self._settings = label, settings

    def identity(self) -> dict[str, str]:
        """Returns where the file came from, and its hash."""
        return _identity("mbox", self._location, sha256_of(self._path), self._label)

    def entries(self) -> Iterator[Found]:
        """Yields the messages."""
        inside = PurePosixPath(Path(self._name).stem + MBOX_SUFFIX)
        with self._path.open("rb") as content:
            entry = archives.Entry(inside, content)
            yield from tracked(
                found_in(inside, entry, self._label, self._settings.message_max_bytes), "Reading mbox"
            )


def found_in(
    inside: PurePosixPath, entry: archives.Entry, label: Label | None, max_bytes: int
) -> Iterator[Found]:
    """Yields the message in one file, or each message of a file whose name ends in `.mbox`.

    Folder names (and the name of an mbox) state the class; `label` fills in where they state none.
    """
    is_mbox = inside.suffix.lower() == MBOX_SUFFIX
    group = inside.with_suffix("") if is_mbox else inside.parent
    stated = label_of_names(group.parts, otherwise=label)
    if entry.content is None:
        yield Found(b"", stated, shown(group), shown(inside), entry.reason)
    elif is_mbox:
        for number, raw in enumerate(mailboxes.split(entry.content, max_bytes), start=1):
            yield Found(raw, stated, shown(group), f"{shown(inside)}#{number}")
    else:
        yield Found(entry.content.read(max_bytes + 1), stated, shown(group), shown(inside))


def shown(path: PurePosixPath) -> str:
    """Returns a path as text that any file can hold, also if its bytes are no UTF-8."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _identity(kind: str, location: str, digest: str, label: Label | None) -> dict[str, str]:
    return {"kind": kind, "location": location, "digest": digest, "label": label or ""}
