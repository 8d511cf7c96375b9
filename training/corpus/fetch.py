"""From a source to a corpus on disk: once, whole, and by one process at a time."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from contracts.corpus import GROUP, LABEL
from feature_repo.message import MessageLimits
from feature_repo.settings import FeatureRepoSettings
from kit.files import locked
from training.corpus import store
from training.corpus.code import reader_digest
from training.corpus.errors import FetchFailed, NothingKept
from training.corpus.fingerprint import fingerprint
from training.corpus.found import Found
from training.corpus.rows import Normalised, normalise
from training.settings import TrainingSettings


class Source(Protocol):
    """Where labelled messages come from."""

    def identity(self) -> dict[str, str]:
        """Returns what is read: two sources of one identity hold the same entries."""
        ...

    def entries(self) -> Iterator[Found]:
        """Yields every entry of the source."""
        ...


class Fetched(NamedTuple):
    """The corpus on disk; `unchanged` says that it was there already."""

    manifest: store.Manifest
    unchanged: bool


def fetch(
    folder: Path,
    source: Source,
    settings: TrainingSettings,
    reading: FeatureRepoSettings,
    *,
    wait_seconds: float = 0,
) -> Fetched:
    """Returns the manifest of the corpus of `source` in `folder`, and fetches it unless it is there whole.

    `reading` says how much of each message is read for its date and sender.

    Raises:
        Locked: another process fetches into `folder` for longer than `wait_seconds`.
        NothingKept: the source holds no usable message; the former corpus stays.
        CallerError, OperationalError: what the source raises; the former corpus stays.
    """
    with locked(folder / store.LOCK, what=f"A fetch into {folder}", timeout_seconds=wait_seconds):
        _sweep(folder / store.DOWNLOADS)
        limits = MessageLimits.of(reading)
        request: dict[str, Any] = source.identity() | {
            "message_max_bytes": settings.message_max_bytes,
            "reader": reader_digest(),
            "limits": asdict(limits),
        }
        present = store.whole(folder)
        if present is not None and present.request == request:
            return Fetched(present, unchanged=True)
        try:
            manifest = _made(folder, source, request, settings.message_max_bytes, limits)
        except OSError as exc:
            raise FetchFailed(
                f"A file could not be read or written: {exc.strerror or type(exc).__name__}.",
                next_step=f"Check permissions and free space of {folder}, then try again.",
            ) from exc
        return Fetched(manifest, unchanged=False)


def _made(
    folder: Path, source: Source, request: dict[str, Any], max_bytes: int, limits: MessageLimits
) -> store.Manifest:
    result = normalise(source.entries(), max_bytes=max_bytes, limits=limits)
    if result.kept.num_rows == 0:
        raise NothingKept(
            f"None of {result.read} entries is a labelled message: {_told(result.reasons)}.",
            next_step="Name the folders spam and ham, or give --label for a source of one class.",
        )
    return store.write(folder, result.kept, result.quarantined, _manifest(request, result))


def _sweep(downloads: Path) -> None:
    # Names with a dot are temporary; while the lock is held, they are what a killed run left behind.
    for left in downloads.glob(".*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _manifest(request: dict[str, Any], result: Normalised) -> store.Manifest:
    return store.Manifest(
        format_version=store.FORMAT_VERSION,
        request=request,
        fingerprint=fingerprint(result.kept),
        counts=store.Counts(
            read=result.read,
            kept=result.kept.num_rows,
            quarantined=result.quarantined.num_rows,
            repeated=result.repeated,
            reasons=result.reasons,
            labels=dict(sorted(Counter(result.kept[LABEL].to_pylist()).items())),
            groups=dict(sorted(Counter(result.kept[GROUP].to_pylist()).items())),
        ),
        sha256={},
        fetched_at=datetime.now(UTC),
    )


def _told(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "it is empty"
