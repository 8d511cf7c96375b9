"""Where a model comes from: data, code, parameters and libraries."""

import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue, TypeAdapter

from contracts.bundle import Lineage
from training.workload import Dataset, ModelContract, Parameters

LIBRARIES: Final = (
    "numpy",
    "onnx",
    "onnxmltools",
    "onnxruntime",
    "scikit-learn",
    "skl2onnx",
    "xgboost-cpu",
)
"""The packages whose versions have a say in what a model answers."""

UNKNOWN: Final = "unknown"
_PARAMETERS: Final = TypeAdapter(dict[str, JsonValue])
_GIT_SECONDS: Final = 30


def lineage(
    contract: ModelContract,
    dataset: Dataset,
    *,
    split_seed: int,
    parameters: Parameters,
    run_ids: Mapping[str, str] | None = None,
) -> Lineage:
    """Returns the lineage of a model that is made here and now."""
    plain = {name: _plain(value) for name, value in sorted(parameters.items())}
    return Lineage(
        data_fingerprint=dataset.fingerprint,
        split_seed=split_seed,
        schema_digest=contract.schema_digest,
        git_commit=git_commit(Path(__file__).parent),
        parameters=_PARAMETERS.validate_python(plain),
        libraries=libraries(),
        run_ids=dict(run_ids or {}),
    )


def libraries() -> dict[str, str]:
    """Returns the version of each of `LIBRARIES` that is installed here."""
    return {name: version(name) for name in LIBRARIES}


def git_commit(folder: Path) -> str:
    """Returns the commit of the repository around `folder`, or `unknown` if there is none.

    `-dirty` follows it if a tracked file differs: such a model cannot be made again from the commit alone.
    """
    command = ("git", "describe", "--always", "--abbrev=40", "--match=", "--dirty")
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=_GIT_SECONDS
        )
    except (FileNotFoundError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return UNKNOWN
    return answer.stdout.strip() or UNKNOWN


def _plain(value: Any) -> Any:
    """Returns numpy's scalars as Python's, which JSON knows."""
    return value.item() if hasattr(value, "item") else value
