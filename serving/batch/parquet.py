"""Parquet as an input: a part is some row groups, or a run of rows of one that is larger than a part."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.corpus import RAW
from contracts.tensors import Tensor
from serving.batch.errors import InputRefused
from serving.batch.rows import Limits, Problem, Rows

SUFFIX: Final = ".parquet"
_KEPT_BYTES: Final = 256 << 20
"""Of a row group that is kept whole between its parts; a larger one is read again up to each part."""
_DTYPES: Final = {"FP32": np.float32, "INT64": np.int64}


@dataclass(frozen=True, slots=True)
class ParquetPart:
    """`rows` rows of these row groups, from row `first` on."""

    file: Path
    row_groups: tuple[int, ...]
    first: int
    rows: int

    def read(self, limits: Limits) -> Rows:
        """Returns the rows.

        Raises:
            InputRefused: the file is damaged.
        """
        with _readable(self.file), pq.ParquetFile(self.file, pre_buffer=False) as source:
            names = columns(source.schema_arrow, limits, self.file)
            groups = [source.metadata.row_group(group) for group in self.row_groups]
            if sum(group.total_byte_size for group in groups) <= _KEPT_BYTES:
                table = _groups(self.file, self.row_groups, tuple(names)).slice(self.first, self.rows)
            else:
                batches = source.iter_batches(self.rows, list(self.row_groups), names)
                table = pa.Table.from_batches(_cut(batches, self.first, self.rows))
        ids = pc.cast(table[limits.id_column], pa.string()).to_pylist()
        if limits.reads_mail:
            return _messages(ids, pc.cast(table[RAW], pa.large_binary()).to_pylist())
        return _inputs(ids, table, limits.contract.inputs, limits.contract.feature_names)


def parts(file: Path, limits: Limits, part_rows: int) -> Iterator[ParquetPart]:
    """Yields the parts of a file with at most `part_rows` rows each.

    Raises:
        InputRefused: it is no Parquet file, or lacks a column.
    """
    with _readable(file), pq.ParquetFile(file) as source:
        columns(source.schema_arrow, limits, file)
        rows_of = [source.metadata.row_group(group).num_rows for group in range(source.num_row_groups)]
    together: list[int] = []
    for group, rows in enumerate(rows_of):
        held = sum(rows_of[each] for each in together)
        if together and held + rows > part_rows:
            yield ParquetPart(file, tuple(together), 0, held)
            together = []
        if rows <= part_rows:
            together += [group] if rows else []
            continue
        for first in range(0, rows, part_rows):
            yield ParquetPart(file, (group,), first, min(part_rows, rows - first))
    if together:
        yield ParquetPart(file, tuple(together), 0, sum(rows_of[each] for each in together))


@functools.lru_cache(maxsize=1)
def _groups(file: Path, row_groups: tuple[int, ...], names: tuple[str, ...]) -> pa.Table:
    """Returns row groups; the latest are kept, because the parts of one follow each other."""
    with pq.ParquetFile(file) as source:
        return source.read_row_groups(list(row_groups), columns=list(names))


def columns(schema: pa.Schema, limits: Limits, file: Path) -> list[str]:
    """Returns the columns that are read: the id, and what the model needs.

    Raises:
        InputRefused: one is missing, or its type is of no use.
    """
    if limits.reads_mail:
        needed = {RAW: _is_bytes}
    elif _by_names(limits.contract.inputs, limits.contract.feature_names, schema.names):
        needed = dict.fromkeys(limits.contract.feature_names, _is_number)
    else:
        needed = {tensor.name: _is_text if tensor.datatype == "BYTES" else _is_numbers
                  for tensor in limits.contract.inputs}  # fmt: skip
    needed = {limits.id_column: _is_id, **needed}
    missing = [name for name in needed if name not in schema.names]
    if missing:
        hint = ""
        if limits.id_column in missing:
            hint = " Another column is taken for the id with --id-column NAME."
        raise InputRefused(
            f"{file} has no column {', '.join(missing)}; it has {', '.join(schema.names) or 'none'}.",
            next_step=f"Score a file with the columns {', '.join(needed)}.{hint}",
        )
    for name, fits in needed.items():
        if not fits(schema.field(name).type):
            raise InputRefused(
                f"Column {name} of {file} is of type {schema.field(name).type}, which cannot be scored.",
                next_step="Write messages as binary, ids as text or integers, inputs as numbers or lists.",
            )
    return list(needed)


def _by_names(inputs: Sequence[Tensor], features: Sequence[str], names: Sequence[str]) -> bool:
    """Returns whether the numbers of a single tensor are meant to come as a column each."""
    return (
        len(inputs) == 1
        and inputs[0].datatype != "BYTES"
        and inputs[0].name not in names
        and inputs[0].shape == (len(features),)
    )


def _messages(ids: Sequence[str | None], cells: Sequence[bytes | None]) -> Rows:
    return Rows(
        ids=ids,
        sha256=[None if raw is None else hashlib.sha256(raw).hexdigest() for raw in cells],
        problems=[Problem.EMPTY_CELL if raw is None else None for raw in cells],
        messages=[raw or b"" for raw in cells],
    )


def _inputs(
    ids: Sequence[str | None], table: pa.Table, inputs: Sequence[Tensor], features: Sequence[str]
) -> Rows:
    problems: list[Problem | None] = [None] * len(ids)
    arrays: dict[str, NDArray[Any]] = {}
    for tensor in inputs:
        if tensor.name in table.column_names:
            cells: Iterable[Any] = table[tensor.name].to_pylist()
        else:
            cells = zip(*(table[name].to_pylist() for name in features), strict=True)
        arrays[tensor.name] = _tensor(tensor, cells, problems)
    hashes = []
    for row, problem in enumerate(problems):
        values = hashlib.sha256()
        for tensor in inputs:
            cell = arrays[tensor.name][row]
            values.update("\0".join(cell).encode() if tensor.datatype == "BYTES" else cell.tobytes())
        hashes.append(None if problem else values.hexdigest())
    return Rows(ids=ids, sha256=hashes, problems=problems, inputs=arrays)


def _tensor(tensor: Tensor, cells: Iterable[Any], problems: list[Problem | None]) -> NDArray[Any]:
    """Returns the cells as one array [N, …]; what is wrong with a row is written into `problems`."""
    size = int(np.prod(tensor.shape, dtype=np.int64))
    is_text = tensor.datatype == "BYTES"
    array = np.full(
        (len(problems), size), "" if is_text else 0, object if is_text else _DTYPES[tensor.datatype]
    )
    for row, cell in enumerate(cells):
        values = list(cell) if isinstance(cell, (list, tuple)) else [cell]
        if cell is None or any(value is None for value in values):
            problems[row] = problems[row] or Problem.EMPTY_CELL
        elif len(values) != size:
            problems[row] = problems[row] or Problem.WRONG_SHAPE
        else:
            array[row] = values
    return array.reshape(len(problems), *tensor.shape)


def _cut(batches: Iterable[pa.RecordBatch], first: int, rows: int) -> list[pa.RecordBatch]:
    """Returns the rows from `first` on; a reader may give smaller batches than it was asked for."""
    found, at = [], 0
    for batch in batches:
        start, stop = max(first - at, 0), min(first + rows - at, batch.num_rows)
        if start < stop:
            found.append(batch.slice(start, stop - start))
        at += batch.num_rows
        if at >= first + rows:
            break
    return found


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError) as exc:
        raise InputRefused(
            f"{file} is no readable Parquet file ({type(exc).__name__}).",
            next_step="Write it again, or take it out of the input.",
        ) from exc


def _is_bytes(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, _is_text))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_id(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return _is_text(kind) or bool(pa.types.is_integer(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_numbers(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return _is_number(kind) or (any(is_list(kind) for is_list in lists) and _is_number(kind.value_type))
