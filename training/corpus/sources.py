"""Which source a person means by `--from PATH-or-URL`."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from contracts.labels import Label
from kit.errors import UsageError
from kit.files import sha256_of
from training.corpus import archives, downloads, tables
from training.corpus.errors import DigestMismatch, SourceUnknown
from training.corpus.fetch import Source
from training.corpus.files import MBOX_SUFFIX, ArchiveSource, FolderSource, MboxSource
from training.corpus.found import Found
from training.corpus.npm import INTEGRITY, NpmSource, integrity
from training.settings import TrainingSettings

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def named(
    location: str | None,
    downloads_folder: Path,
    settings: TrainingSettings,
    *,
    sha256: str | None = None,
    label: Label | None = None,
) -> Source:
    """Returns the source at `location`: a folder, a file, an address, or without one the npm package.

    Raises:
        UsageError: `sha256` is no SHA-256, or an option does not fit the source.
        SourceUnknown: nothing is there, or it is of no known kind.
        DigestMismatch: the file is not the one that `sha256` promises.
    """
    if sha256 is not None and not _SHA256.fullmatch(sha256 := sha256.lower()):
        raise UsageError("--sha256 takes 64 hexadecimal digits.", next_step="See: sha256sum FILE")
    if location is None:
        if sha256 is not None or label is not None:
            raise UsageError("--sha256 and --label belong to --from; the npm package is pinned and labelled.")
        return NpmSource(downloads_folder, settings)
    if _URL.match(location):
        return UrlSource(location, downloads_folder, settings, sha256=sha256, label=label)
    path = Path(location).expanduser()
    if path.is_dir():
        if sha256 is not None:
            raise UsageError("A folder has no SHA-256.", next_step="Give --sha256 for a file or an address.")
        return FolderSource(path, label, settings)
    return _local_file(path, downloads_folder, settings, sha256, label)


def _local_file(
    path: Path, downloads_folder: Path, settings: TrainingSettings, sha256: str | None, label: Label | None
) -> Source:
    if not path.is_file():
        raise SourceUnknown(f"There is no file or folder {path}.", next_step="Check the path.")
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise DigestMismatch(
            f"{path} has the SHA-256 {found}, and not {sha256}.", next_step="Check the file and the hash."
        )
    if integrity(path) == INTEGRITY:
        return NpmSource(downloads_folder, settings, archive=path)
    return _file_source(path, path.name, str(path.absolute()), settings, label)


class UrlSource:
    """A file behind an address; it is downloaded when it is first looked at."""

    def __init__(
        self,
        url: str,
        downloads_folder: Path,
        settings: TrainingSettings,
        *,
        sha256: str | None,
        label: Label | None,
    ) -> None:
        if httpx.URL(url).scheme not in {"http", "https"}:
            raise SourceUnknown(f"{downloads.shown(url)} is neither http nor https.")
        self._url, self._folder, self._settings = url, downloads_folder, settings
        self._sha256, self._label = sha256, label
        self._source: Source | None = None

    def identity(self) -> dict[str, str]:
        """Returns the address without its secrets, a hash of all of it, and what the file is."""
        whole = hashlib.sha256(self._url.encode()).hexdigest()
        return self._downloaded().identity() | {"url_sha256": whole}

    def entries(self) -> Iterator[Found]:
        """Yields what the downloaded file holds."""
        return self._downloaded().entries()

    def _downloaded(self) -> Source:
        if self._source is None:
            path = downloads.download(self._url, self._folder, self._settings, sha256=self._sha256)
            name = httpx.URL(self._url).path.rpartition("/")[2] or "download"
            self._source = _file_source(path, name, downloads.shown(self._url), self._settings, self._label)
        return self._source


def _file_source(
    path: Path, name: str, location: str, settings: TrainingSettings, label: Label | None
) -> Source:
    if tables.is_parquet(path) or name.lower().endswith(".csv"):
        if label is not None:
            raise UsageError(f"{name} has a label column.", next_step="Leave --label out.")
        kind = tables.ParquetSource if tables.is_parquet(path) else tables.CsvSource
        return kind(path, name, location)
    if name.lower().endswith(MBOX_SUFFIX) or _begins_like_mbox(path):
        return MboxSource(path, name, location, label, settings)
    if archives.is_archive(path):
        return ArchiveSource(path, location, label, settings)
    raise SourceUnknown(
        f"{name} is no zip, tar, mbox, CSV or Parquet file.",
        next_step="Name a folder, or a file of one of these kinds; a CSV file's name ends in .csv.",
    )


def _begins_like_mbox(path: Path) -> bool:
    with path.open("rb") as probe:
        return probe.read(5) == b"From "
