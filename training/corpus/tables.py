"""Messages in the rows of a CSV or Parquet file with the columns `raw` and `label`, and perhaps `group`."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.corpus import GROUP, LABEL, RAW
from kit.files import sha256_of
from kit.terminal import bar
from training.corpus.errors import SourceUnreadable
from training.corpus.found import Found

_REQUIRED: Final = (RAW, LABEL)
_BATCH_ROWS: Final = 1000
_PARQUET_MAGIC: Final = b"PAR1"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class CsvSource:
    """A CSV file with a header line. Its bytes go through unchanged, whatever their charset."""

    def __init__(self, path: Path, name: str, location: str) -> None:
        self._path, self._name, self._location = path, name, location

    def identity(self) -> dict[str, str]:
        """Returns where the file came from, and its hash."""
        return {"kind": "csv", "location": self._location, "digest": sha256_of(self._path)}

    def entries(self) -> Iterator[Found]:
        """Yields a message for each row.

        Raises:
            SourceUnreadable: it is UTF-16, lacks a column, or is no CSV.
        """
        with self._path.open("rb") as probe:
            if probe.read(2) in _UTF16_MARKS:
                raise SourceUnreadable(f"{self._name} is UTF-16.", next_step="Save it as UTF-8.")
        former = csv.field_size_limit(sys.maxsize)  # a message is one field; its own limit is checked later
        try:
            # Bytes that are no UTF-8 survive as surrogates, and become the same bytes again below.
            with (
                self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
                bar("Reading CSV") as advance,
            ):
                rows = csv.DictReader(text, strict=True)
                _require(self._name, rows.fieldnames or ())
                for row in rows:
                    yield _found(row, self._name, f"{self._name}:{rows.line_num}")
                    advance()
        except csv.Error as exc:
            raise SourceUnreadable(
                f"{self._name} is no valid CSV: {exc}.", next_step="Save it anew with quoted fields."
            ) from exc
        finally:
            csv.field_size_limit(former)


class ParquetSource:
    """A Parquet file; `raw` may be binary or text."""

    def __init__(self, path: Path, name: str, location: str) -> None:
        self._path, self._name, self._location = path, name, location

    def identity(self) -> dict[str, str]:
        """Returns where the file came from, and its hash."""
        return {"kind": "parquet", "location": self._location, "digest": sha256_of(self._path)}

    def entries(self) -> Iterator[Found]:
        """Yields a message for each row.

        Raises:
            SourceUnreadable: it lacks a column, or is damaged.
        """
        number = 0
        try:
            with (
                pq.ParquetFile(self._path) as file,
                bar("Reading Parquet", file.metadata.num_rows) as advance,
            ):
                _require(self._name, file.schema_arrow.names)
                wanted = [name for name in (RAW, LABEL, GROUP) if name in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                    for row in batch.to_pylist():
                        number += 1
                        yield _found(row, self._name, f"{self._name}:{number}")
                        advance()
        except (pa.ArrowException, OSError) as exc:
            raise SourceUnreadable(
                f"{self._name} is damaged, or no Parquet file: {type(exc).__name__}.",
                next_step="Write it anew.",
            ) from exc


def is_parquet(path: Path) -> bool:
    """Returns whether the file at `path` begins like Parquet."""
    with path.open("rb") as probe:
        return probe.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _require(name: str, columns: Any) -> None:
    missing = [column for column in _REQUIRED if column not in columns]
    if missing:
        present = ", ".join(map(str, columns)) or "none"
        raise SourceUnreadable(
            f"{name} has no column {' and no column '.join(missing)}; its columns: {present}.",
            next_step="Name the columns raw (the whole message) and label (spam or ham).",
        )


def _found(row: dict[str, Any], name: str, where: str) -> Found:
    raw, label, group = row[RAW], row[LABEL], row.get(GROUP)
    return Found(
        raw=_bytes(raw),
        label=_text(label).strip().lower() or None,
        group=_text(group) or Path(name).stem,
        where=where,
    )


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else b""


def _text(value: Any) -> str:
    return (
        ""
        if value is None
        else str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )
