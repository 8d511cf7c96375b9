"""From a bundle to Triton's model repository: a folder for each version, one description of the tensors.

`<repository>/<model>/config.pbtxt` and `<repository>/<model>/<version>/model.onnx`; the Python layout puts a
`model.py` beside the graph. The model's name is the workload's, the version is the registry's. Which of the
versions on disk are served is said by the configuration alone (`version_policy`), so a version can be put
there, loaded, judged and taken away while another one answers. docs/serving.md explains each line.

Errors::

    CallerError
    └── RepositoryRefused   409  a version that is there with other bytes, or not there, or still in use
"""

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from contracts.bundle import MODEL, BundleContract
from contracts.tensors import Tensor
from kit.bundle import Bundle
from kit.errors import CallerError
from kit.files import sha256_of, write_text

CONFIG: Final = "config.pbtxt"
PROGRAM: Final = "model.py"

_PROGRAM_SOURCE: Final = Path(__file__).parent / "python_backend" / PROGRAM
_TYPES: Final = {"BYTES": "TYPE_STRING", "FP32": "TYPE_FP32", "INT64": "TYPE_INT64"}
_MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION: Final = re.compile(r"[1-9][0-9]*")
_POLICY: Final = re.compile(r"^version_policy \{ specific \{ versions: \[ ([0-9, ]+) \] \} \}$", re.MULTILINE)


class Layout(StrEnum):
    """Which of Triton's backends runs the graph."""

    ONNXRUNTIME = "onnxruntime"
    """Triton's own backend, as in its image: for a cluster."""
    PYTHON = "python"
    """ONNX Runtime called from `model.py`: the wheel's server has no other backend."""


@dataclass(frozen=True)
class ModelOptions:
    """How Triton runs a model."""

    max_batch_size: int = 32
    """Rows of one batch at most. A batch of texts is padded to its longest one, and the memory is kept."""
    queue_delay_microseconds: int = 0
    """How long a request waits for company: not at all. Those that come while a batch runs go together in the
    next one anyway; 100 µs cost a lone request 0.3 ms."""
    max_queue_size: int = 1024
    """Requests that may wait; more are refused at once, with UNAVAILABLE."""
    queue_timeout_microseconds: int = 10_000_000
    """How long a request may wait before it is refused; a request may bring a shorter time of its own."""
    instances: int = 2
    """Batches that are run at the same time; in the Python layout each is a process."""
    intra_op_threads: int = 1
    """Threads of one batch. More than one cost throughput here, and change the last bit of an answer."""
    warm_up: bool = True
    """Run one empty row before the version is ready: the first caller does not pay for it."""


DEFAULT_OPTIONS: Final = ModelOptions()


class RepositoryRefused(CallerError):
    """The repository would not hold together after that."""

    status = 409
    code = "repository_refused"
    title = "Model repository refused"


def add_version(repository: Path, bundle: Bundle, version: str, layout: Layout) -> Path:
    """Returns the folder of `version`, which appears in one step, whole; done already, it returns at once.

    Raises:
        RepositoryRefused: the version is there with another graph, or name or version make no folder.
    """
    folder = _model_folder(repository, bundle.contract.workload) / _checked(version)
    if folder.exists():
        return _same(folder, bundle)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Triton reads folders whose names are numbers, so nobody sees this one.
    staging = Path(tempfile.mkdtemp(prefix=f".{version}.", suffix=".part", dir=folder.parent))
    try:
        shutil.copyfile(bundle.model, staging / MODEL)
        if layout is Layout.PYTHON:
            shutil.copyfile(_PROGRAM_SOURCE, staging / PROGRAM)
        staging.chmod(0o755)
        try:
            staging.rename(folder)
        except OSError:
            return _same(folder, bundle)  # another process was faster
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def write_config(
    repository: Path,
    contract: BundleContract,
    versions: Sequence[str],
    layout: Layout,
    options: ModelOptions = DEFAULT_OPTIONS,
) -> Path:
    """Returns the configuration that serves `versions` of the model, and no others.

    Raises:
        RepositoryRefused: no version is named, or one that is not in the repository.
    """
    folder = _model_folder(repository, contract.workload)
    absent = [version for version in versions if not (folder / _checked(version) / MODEL).is_file()]
    if absent or not versions:
        raise RepositoryRefused(
            f"{folder} has no version {', '.join(absent)}." if absent else "No version is to be served.",
            next_step="Add the version before the configuration names it.",
        )
    write_text(folder / CONFIG, rendered(contract, versions, layout, options))
    return folder / CONFIG


def served_versions(repository: Path, model: str) -> tuple[str, ...]:
    """Returns the versions that the model's configuration names; none without a configuration."""
    path = _model_folder(repository, model) / CONFIG
    found = _POLICY.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return tuple(found.group(1).split(", ")) if found else ()


def stored_versions(repository: Path, model: str) -> tuple[str, ...]:
    """Returns the versions whose folders are there, served or not, lowest first."""
    folder = _model_folder(repository, model)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted((name for name in names if _VERSION.fullmatch(name)), key=int))


def remove_version(repository: Path, model: str, version: str) -> None:
    """Removes the folder of a version that the configuration no longer names; gone already is fine.

    Raises:
        RepositoryRefused: the configuration names it.
    """
    if version in served_versions(repository, model):
        raise RepositoryRefused(
            f"Version {version} of {model} is still in {CONFIG}.",
            next_step="Write the configuration without it, have Triton load that, then remove the version.",
        )
    folder = _model_folder(repository, model) / _checked(version)
    if not folder.exists():
        return
    doomed = Path(tempfile.mkdtemp(prefix=f".{version}.", suffix=".gone", dir=folder.parent))
    folder.rename(doomed / version)
    shutil.rmtree(doomed)


def remove_model(repository: Path, model: str) -> None:
    """Removes a model with all its versions; gone already is fine."""
    folder = _model_folder(repository, model)
    (folder / CONFIG).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def rendered(
    contract: BundleContract,
    versions: Sequence[str],
    layout: Layout,
    options: ModelOptions = DEFAULT_OPTIONS,
) -> str:
    """Returns the text of config.pbtxt."""
    lines = [
        f'name: "{contract.workload}"',
        f'backend: "{layout.value}"',
        f"max_batch_size: {options.max_batch_size}",
        "input [",
        ",\n".join(f"  {_tensor(tensor, layout)}" for tensor in contract.inputs),
        "]",
        "output [",
        ",\n".join(f"  {_tensor(tensor, layout)}" for tensor in contract.outputs),
        "]",
        f"version_policy {{ specific {{ versions: [ {', '.join(sorted(versions, key=int))} ] }} }}",
        "dynamic_batching {",
        f"  max_queue_delay_microseconds: {options.queue_delay_microseconds}",
        "  default_queue_policy {",
        "    timeout_action: REJECT",
        f"    default_timeout_microseconds: {options.queue_timeout_microseconds}",
        "    allow_timeout_override: true",
        f"    max_queue_size: {options.max_queue_size}",
        "  }",
        "}",
        f"instance_group [ {{ count: {options.instances} kind: KIND_CPU }} ]",
        _parameter("intra_op_thread_count", options.intra_op_threads),
        _parameter("inter_op_thread_count", 1),
    ]
    # A warm-up of Triton's own that fails ends the whole server (24.10), with every other model; model.py
    # does it while it is loaded, where a failure is a refusal.
    if layout is Layout.PYTHON:
        lines.append(_parameter("warm_up", int(options.warm_up)))
    elif options.warm_up:
        lines += [
            "model_warmup [ {",
            '  name: "one_row"',
            "  batch_size: 1",
            *(f"  {_warm_up(tensor)}" for tensor in contract.inputs),
            "} ]",
        ]
    return "\n".join(lines) + "\n"


def wire_shape(tensor: Tensor) -> tuple[int, ...]:
    """Returns the shape of one row on the wire: a tensor of single values is [1] there, for every client.

    Triton refuses a batched tensor without dimensions.
    """
    return tensor.shape or (1,)


def _same(folder: Path, bundle: Bundle) -> Path:
    """Returns the folder of a version if it holds the bundle's graph."""
    if not (folder / MODEL).is_file() or sha256_of(folder / MODEL) != bundle.contract.files[MODEL]:
        raise RepositoryRefused(
            f"{folder} holds another graph than the bundle that is to be added.",
            next_step="Remove that version from the repository first; a version never changes.",
        )
    return folder


def _tensor(tensor: Tensor, layout: Layout) -> str:
    dims = ", ".join(map(str, wire_shape(tensor)))
    # The native backend must be told what the graph gives; model.py gives what the wire wants.
    reshape = " reshape { shape: [ ] }" if layout is Layout.ONNXRUNTIME and not tensor.shape else ""
    return f'{{ name: "{tensor.name}" data_type: {_TYPES[tensor.datatype]} dims: [ {dims} ]{reshape} }}'


def _warm_up(tensor: Tensor) -> str:
    dims = ", ".join(map(str, wire_shape(tensor)))
    value = f"{{ data_type: {_TYPES[tensor.datatype]} dims: [ {dims} ] zero_data: true }}"
    return f'inputs {{ key: "{tensor.name}" value {value} }}'


def _parameter(key: str, value: int) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


def _model_folder(repository: Path, model: str) -> Path:
    if not _MODEL_NAME.fullmatch(model):
        raise RepositoryRefused(f"{model!r} is no name of a model: lower-case letters, digits and hyphens.")
    return repository / model


def _checked(version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise RepositoryRefused(f"{version!r} is no version of a model: a whole number from 1 on.")
    return version
