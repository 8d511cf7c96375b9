"""A data set as files: what one step of the pipeline makes and every later step learns from and judges on.

A `Dataset` holds functions, and cannot travel between processes. A snapshot holds their answers instead: the
splits of the seeds that the run uses, the whole data under each ablation, and the test rows of the run's own
seed under each perturbation. Whoever asks it for anything else gets an error, and never a guess.

Files: `rows.parquet` (id, label, group, title, one column for each input, slice and reference column),
`rows.ablation.<n>.parquet` (only the inputs that differ), `rows.perturbation.<n>.parquet`, `snapshot.json`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from kit.errors import Bug, CallerError
from kit.files import write_text
from training.workload import Dataset, Indices, Rows, Splits

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS: Final = "rows.parquet"
_MANIFEST: Final = "snapshot.json"
_INPUT, _SLICE, _REFERENCE = "input:", "slice:", "reference:"


class SnapshotUnreadable(CallerError):
    """A folder holds no whole snapshot of a data set."""

    status = 422
    code = "snapshot_unreadable"
    title = "Data of the run cannot be read"


class NoTimeSplit(CallerError):
    """The data have dates, but cannot be split by them."""

    status = 422
    code = "no_time_split"
    title = "No split by time"


class _Split(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    train: list[int]
    validation: list[int]
    test: list[int]

    def indices(self) -> Splits:
        return Splits(*(np.asarray(part, dtype=np.intp) for part in (self.train, self.validation, self.test)))


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    seed: int
    splits: dict[int, _Split]
    time_split: _Split | None
    no_time_split: str | None
    """Why the data have no split by time although they have dates."""
    shapes: dict[str, list[int]]
    """Of each input and reference column, by its name in the file, without N."""
    ablations: list[str]
    perturbations: list[str]
    has_titles: bool
    has_groups: bool


def write(dataset: Dataset, folder: Path, *, seed: int, seeds: Sequence[int]) -> None:
    """Writes `dataset` into `folder`, with the splits of `seed` and `seeds`.

    Perturbations are kept for the test rows of `seed`, and ablations for all rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = dataset.rows
    splits = {each: _plain(dataset.split(each)) for each in sorted({seed, *seeds})}
    extra: dict[str, Any] = {"id": rows.ids.tolist(), "label": rows.labels}
    if len(dataset.titles):
        extra["title"] = list(dataset.titles)
    if len(dataset.groups):
        extra["group"] = list(dataset.groups)
    extra |= {f"{_SLICE}{name}": np.asarray(mask) for name, mask in dataset.slices.items()}
    extra |= {f"{_REFERENCE}{name}": _flat(values) for name, values in dataset.reference.items()}
    _write_table(folder / _ROWS, extra | _columns(rows.inputs))
    for number, ablate in enumerate(dataset.ablations.values()):
        _write_table(_path(folder, "ablation", number), _columns(_changed(ablate(rows), rows)))
    test = np.asarray(splits[seed].test, dtype=np.intp)
    for number, perturb in enumerate(dataset.perturbations.values()):
        _write_table(_path(folder, "perturbation", number), _columns(perturb(test).inputs))
    time_split, no_time_split = _by_time(dataset)
    manifest = _Manifest(
        fingerprint=dataset.fingerprint,
        seed=seed,
        splits=splits,
        time_split=time_split,
        no_time_split=no_time_split,
        shapes={
            **{f"{_INPUT}{name}": list(values.shape[1:]) for name, values in rows.inputs.items()},
            **{f"{_REFERENCE}{name}": list(values.shape[1:]) for name, values in dataset.reference.items()},
        },
        ablations=list(dataset.ablations),
        perturbations=list(dataset.perturbations),
        has_titles=len(dataset.titles) > 0,
        has_groups=len(dataset.groups) > 0,
    )
    write_text(folder / _MANIFEST, manifest.model_dump_json() + "\n")


def read(folder: Path) -> Dataset:
    """Returns the data set of a snapshot; it answers as the one that was written, for what was kept.

    Raises:
        SnapshotUnreadable: a file is absent or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        manifest = _Manifest.model_validate_json((folder / _MANIFEST).read_text(encoding="utf-8"))
        table = pq.read_table(folder / _ROWS)
        ablated = [
            pq.read_table(_path(folder, "ablation", number)) for number in range(len(manifest.ablations))
        ]
        perturbed = [
            pq.read_table(_path(folder, "perturbation", number))
            for number in range(len(manifest.perturbations))
        ]
    except (OSError, ValidationError, pa.ArrowException) as exc:
        raise SnapshotUnreadable(
            f"{folder} holds no whole snapshot of a data set.",
            next_step="Run the pipeline again from its first step: sluice pipeline run",
        ) from exc
    rows = Rows(
        _inputs(table, manifest.shapes),
        table["label"].to_numpy().astype(np.int64),
        np.asarray(table["id"].to_pylist(), dtype=np.str_),
    )
    test = manifest.splits[manifest.seed].indices().test
    return Dataset(
        rows=rows,
        fingerprint=manifest.fingerprint,
        split=_split_of(manifest),
        split_by_time=_time_split_of(manifest),
        slices={
            name.removeprefix(_SLICE): table[name].to_numpy(zero_copy_only=False)
            for name in table.column_names
            if name.startswith(_SLICE)
        },
        titles=table["title"].to_pylist() if manifest.has_titles else (),
        groups=table["group"].to_pylist() if manifest.has_groups else (),
        ablations={
            name: _ablation(rows, _inputs(changed, manifest.shapes))
            for name, changed in zip(manifest.ablations, ablated, strict=True)
        },
        perturbations={
            name: _perturbation(name, rows, test, _inputs(changed, manifest.shapes))
            for name, changed in zip(manifest.perturbations, perturbed, strict=True)
        },
        reference={
            name.removeprefix(_REFERENCE): _shaped(table[name], manifest.shapes[name])
            for name in table.column_names
            if name.startswith(_REFERENCE)
        },
    )


def _split_of(manifest: _Manifest) -> Callable[[int], Splits]:
    def split(seed: int) -> Splits:
        if seed not in manifest.splits:
            raise Bug(f"The snapshot holds the splits of seeds {sorted(manifest.splits)}, and not of {seed}.")
        return manifest.splits[seed].indices()

    return split


def _by_time(dataset: Dataset) -> tuple[_Split | None, str | None]:
    if dataset.split_by_time is None:
        return None, None
    try:
        return _plain(dataset.split_by_time()), None
    except CallerError as exc:
        # Dates that are too few or too much alike: the evaluation asks again, and reports the reason.
        return None, exc.message


def _time_split_of(manifest: _Manifest) -> Callable[[], Splits] | None:
    if manifest.time_split is not None:
        return manifest.time_split.indices
    reason = manifest.no_time_split
    if reason is None:
        return None

    def refuse() -> Splits:
        raise NoTimeSplit(reason)

    return refuse


def _ablation(whole: Rows, changed: Mapping[str, NDArray[Any]]) -> Callable[[Rows], Rows]:
    number_of = {identity: number for number, identity in enumerate(whole.ids.tolist())}

    def ablate(rows: Rows) -> Rows:
        at = np.asarray([number_of[identity] for identity in rows.ids.tolist()], dtype=np.intp)
        inputs = {name: changed[name][at] if name in changed else rows.inputs[name] for name in rows.inputs}
        return Rows(inputs, rows.labels, rows.ids)

    return ablate


def _perturbation(
    name: str, whole: Rows, kept: Indices, changed: Mapping[str, NDArray[Any]]
) -> Callable[[Indices], Rows]:
    place = {int(row): number for number, row in enumerate(kept)}

    def perturb(indices: Indices) -> Rows:
        unknown = [int(row) for row in indices if int(row) not in place]
        if unknown:
            raise Bug(
                f"The snapshot holds {name} for the run's test rows only, and not for row {unknown[0]}."
            )
        at = np.asarray([place[int(row)] for row in indices], dtype=np.intp)
        inputs = {tensor: values[at] for tensor, values in changed.items()}
        return Rows(inputs, whole.labels[indices], whole.ids[indices])

    return perturb


def _changed(ablated: Rows, rows: Rows) -> dict[str, NDArray[Any]]:
    return {
        name: values
        for name, values in ablated.inputs.items()
        if not np.array_equal(values, rows.inputs[name])
    }


def _plain(splits: Splits) -> _Split:
    return _Split(
        train=splits.train.tolist(), validation=splits.validation.tolist(), test=splits.test.tolist()
    )


def _path(folder: Path, kind: str, number: int) -> Path:
    return folder / f"rows.{kind}.{number}.parquet"


def _columns(inputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {f"{_INPUT}{name}": _flat(values) for name, values in inputs.items()}


def _flat(values: NDArray[Any]) -> Any:
    """Returns [N] as it is, [N, 1] of str as [N], and any other [N, …] as a list of N flat rows."""
    import pyarrow as pa

    if values.ndim == 1:
        return values
    width = int(np.prod(values.shape[1:]))
    if width == 1:
        return values.reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), width)


def _shaped(column: Any, shape: Sequence[int]) -> NDArray[Any]:
    import pyarrow as pa

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    values = array.to_numpy(zero_copy_only=False)
    # Arrow's memory is read-only, and some libraries ask for memory that they could write to.
    return np.array(values).reshape(-1, *shape) if shape else np.array(values)


def _inputs(table: "pa.Table", shapes: Mapping[str, Sequence[int]]) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(_INPUT): _shaped(table[name], shapes[name])
        for name in table.column_names
        if name.startswith(_INPUT)
    }


def _write_table(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, compression="zstd")
