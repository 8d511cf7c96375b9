"""The corpus on disk: three files that belong together, of which the manifest is written last."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from kit.files import sha256_of, write_text
from training.corpus.errors import CorpusMissing

CORPUS: Final = "corpus.parquet"
QUARANTINE: Final = "quarantine.parquet"
MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
DOWNLOADS: Final = "downloads"
_STAGING: Final = ".staging"
_FINGERPRINT_KEY: Final = b"sluice.fingerprint"

FORMAT_VERSION: Final = 1
"""Raise it when the code here makes other rows or columns of a source: corpora are then made anew."""


class Counts(BaseModel):
    """How many entries there were, and what became of them: `read` = `kept` + `quarantined` + `repeated`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: int
    kept: int
    quarantined: int
    repeated: int
    reasons: dict[str, int]
    labels: dict[str, int]
    groups: dict[str, int]


class Manifest(BaseModel):
    """What the corpus is made of; only a folder that holds one holds a whole corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    request: dict[str, Any]
    """Source, limits, and the code that read it: the same request need not be fetched again."""
    fingerprint: str
    counts: Counts
    sha256: dict[str, str]
    """Of each of the other files."""
    fetched_at: datetime


def write(folder: Path, corpus: pa.Table, quarantine: pa.Table, manifest: Manifest) -> Manifest:
    """Puts a corpus in the place of the former one and returns its manifest with the hashes of its files.

    The files are made whole in a staging folder first. While they change places there is no manifest, so that
    a crash leaves either the former corpus, none, or the new one; never a mixture that passes for one.
    """
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    marked = corpus.replace_schema_metadata({_FINGERPRINT_KEY: manifest.fingerprint.encode()})
    pq.write_table(marked, staging / CORPUS, compression="zstd")
    pq.write_table(quarantine, staging / QUARANTINE, compression="zstd")
    digests = {name: sha256_of(staging / name) for name in (CORPUS, QUARANTINE)}
    manifest = manifest.model_copy(update={"sha256": digests})
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in digests:
        (staging / name).replace(folder / name)
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    shutil.rmtree(staging)
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """Returns the manifest, or None if there is none or it is of another format."""
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(document)
    except (FileNotFoundError, ValueError, ValidationError):
        return None
    return manifest if manifest.format_version == FORMAT_VERSION else None


def whole(folder: Path) -> Manifest | None:
    """Returns the manifest if every file is there with the bytes that it promises, else None."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    files = {name: folder / name for name in manifest.sha256}
    if any(not path.is_file() or sha256_of(path) != manifest.sha256[name] for name, path in files.items()):
        return None
    return manifest


def load(folder: Path) -> tuple[pa.Table, Manifest]:
    """Returns the rows (columns of contracts/corpus.py, ordered by id) and the manifest.

    Raises:
        CorpusMissing: there is no whole corpus, or it was being replaced at this moment.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise CorpusMissing(f"There is no whole corpus in {folder}.", next_step="Run: sluice data fetch")
    try:
        corpus = pq.read_table(folder / CORPUS)
    except (OSError, pa.ArrowInvalid) as exc:
        raise CorpusMissing(
            f"{folder / CORPUS} is absent or damaged.", next_step="Run: sluice data fetch"
        ) from exc
    metadata = corpus.schema.metadata or {}
    if metadata.get(_FINGERPRINT_KEY) != manifest.fingerprint.encode():
        raise CorpusMissing(
            f"{folder} changed while it was read, or a fetch was cut short.",
            next_step="Run: sluice data fetch",
        )
    return corpus.replace_schema_metadata(None), manifest


def load_quarantine(folder: Path) -> pa.Table:
    """Returns what was not kept, with the reason of each entry (columns of rows.QUARANTINE_SCHEMA).

    Raises:
        CorpusMissing: there is no whole corpus.
    """
    if read_manifest(folder) is None:
        raise CorpusMissing(f"There is no whole corpus in {folder}.", next_step="Run: sluice data fetch")
    return pq.read_table(folder / QUARANTINE)
