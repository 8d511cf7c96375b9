"""The output folder: one file for each part, and a manifest that says of what, and whether it is all there.

    OUT/part-00000.parquet …    rows of one part of the input, in its order; whole or absent
    OUT/_manifest.json          what was asked for, `"status": "unfinished"`, and at the end `"finished"`

A part that is there carries the digest of the manifest's request, so that a later run neither does it again
nor takes one that belongs to something else. Readers of Parquet leave names with `_` aside.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from kit.files import replaced, sha256_of, write_text
from serving.batch.errors import OutputDiffers, OutputTaken

MANIFEST: Final = "_manifest.json"
LOCK: Final = ".lock"
FINISHED: Final = "finished"
UNFINISHED: Final = "unfinished"
FORMAT_VERSION: Final = 2
_MARK: Final = b"sluice.batch"
_ATTEMPTS: Final = ".attempts-"


class Manifest(BaseModel):
    """What `_manifest.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    status: str = UNFINISHED
    request: dict[str, JsonValue]
    """What decides the answers: input, model version, limits of the reader."""
    parts: int
    rows: int
    history_at: datetime | None
    """The instant as of which sender histories are looked up; None where they are not."""
    started_at: datetime
    finished_at: datetime | None = None
    counts: dict[str, JsonValue] = {}
    """Rows by verdict and by problem, once it is finished; they add up to `rows`."""
    files: dict[str, str] = {}
    """SHA-256 of each part, once it is finished."""

    @property
    def mark(self) -> str:
        """A digest of the request and of its instant: what parts carry."""
        told = json.dumps([self.request, str(self.history_at)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Done:
    """One finished part in numbers."""

    number: int
    rows: int
    verdicts: Mapping[str, int]
    problems: Mapping[str, int]
    known_senders: int


def opened(out: Path, asked: Manifest, *, resume: bool) -> tuple[Manifest, dict[int, Done]]:
    """Returns the manifest of the output, made or found, and the parts that are done; call it under the lock.

    Raises:
        OutputTaken: the folder holds something, and it is not to be resumed or not ours.
        OutputDiffers: it holds an output of something else; the differences are named.
    """
    path = out / MANIFEST
    if not path.exists():
        if _holds_something(out):
            raise OutputTaken(
                f"{out} is not empty, and holds no output of batch scoring.",
                next_step="Choose a new folder, or empty this one.",
            )
        write_text(path, asked.model_dump_json(indent=1) + "\n")
        return asked, {}
    found = _read(path)
    if not resume:
        state = "a finished output" if found.status == FINISHED else "an unfinished output"
        raise OutputTaken(
            f"{out} holds {state} already.", next_step="Go on with it by --resume, or choose a new folder."
        )
    differences = sorted(
        name
        for name in {*found.request, *asked.request}
        if found.request.get(name) != asked.request.get(name)
    )
    if differences:
        told = "; ".join(
            f"{name} was {found.request.get(name)} and is {asked.request.get(name)}" for name in differences
        )
        raise OutputDiffers(
            f"{out} was begun for something else: {told}.",
            next_step="Ask for the same again, or choose a new folder.",
        )
    for leftover in (*out.glob(".part-*.part"), *out.glob(f"{_ATTEMPTS}*")):
        leftover.unlink()
    parts = (_done(out / part_name(number), number, found.mark) for number in range(found.parts))
    return found, {part.number: part for part in parts if part is not None}


def attempted(out: Path, number: int) -> int:
    """Returns how often a part has been begun, with this time; one byte for each, before the work."""
    with (out / f"{_ATTEMPTS}{number:05d}").open("ab") as attempts:
        attempts.write(b".")
        return attempts.tell()


def write_part(out: Path, number: int, table: pa.Table, known_senders: int, mark: str) -> Done:
    """Writes one part, whole or not at all, and returns it in numbers."""
    done = Done(
        number=number,
        rows=table.num_rows,
        verdicts=_counted(table["verdict"]),
        problems=_counted(table["problem"]),
        known_senders=known_senders,
    )
    told = {"mark": mark, "done": asdict(done)}
    table = table.replace_schema_metadata({_MARK: json.dumps(told).encode()})
    with replaced(out / part_name(number)) as part:
        pq.write_table(table, part, compression="zstd")
    (out / f"{_ATTEMPTS}{number:05d}").unlink(missing_ok=True)
    return done


def finished(out: Path, manifest: Manifest, counts: dict[str, JsonValue], files: dict[str, str]) -> Manifest:
    """Writes that all parts are there, and returns the manifest."""
    closed = manifest.model_copy(
        update={
            "status": FINISHED,
            "finished_at": datetime.now(UTC),
            "counts": counts,
            "files": files,
        }
    )
    write_text(out / MANIFEST, closed.model_dump_json(indent=1) + "\n")
    return closed


def checked(out: Path, manifest: Manifest) -> None:
    """Returns if every file of a finished output is, byte for byte, what was written.

    Raises:
        OutputDiffers: a file is absent or was changed.
    """
    for name, digest in manifest.files.items():
        if not (out / name).exists() or sha256_of(out / name) != digest:
            raise OutputDiffers(
                f"{name} in {out} is not any more what was written.", next_step="Score into a new folder."
            )


def part_name(number: int) -> str:
    """Returns the name of a part's file."""
    return f"part-{number:05d}.parquet"


def _read(path: Path) -> Manifest:
    try:
        found = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise OutputTaken(
            f"{path} is not a manifest that this Sluice can read.", next_step="Choose a new folder."
        ) from exc
    if found.format_version != FORMAT_VERSION:
        raise OutputTaken(f"{path} was written by another Sluice.", next_step="Choose a new folder.")
    return found


def _holds_something(out: Path) -> bool:
    return any(path.name != LOCK for path in out.iterdir())


def _done(path: Path, number: int, mark: str) -> Done | None:
    """Returns the part at `path` in numbers; None where there is none, or one of something else."""
    try:
        told = json.loads((pq.read_schema(path).metadata or {}).get(_MARK, b"{}"))
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    if told.get("mark") != mark or told["done"]["number"] != number:
        return None
    return Done(**told["done"])


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(value for value in column.to_pylist() if value is not None).items()))
