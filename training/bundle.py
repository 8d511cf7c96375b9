"""The bundle as training writes it: whole or not at all, and never changed; kit/bundle.py reads it.

Errors::

    CallerError
    └── BundleExists    409  there is one already: bundles are immutable
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.bundle import (
    CONTRACT,
    MODEL,
    NATIVE,
    NATIVE_FEATURES,
    PARITY,
    REFERENCE,
    BundleContract,
    Parity,
)
from kit.bundle import Bundle, BundleDamaged, files_in, rendered, sealed
from kit.errors import CallerError
from kit.files import sha256_of, write_text
from training.estimators.graph import features_part

if TYPE_CHECKING:
    import pyarrow as pa

_READ_ONLY = 0o444


class BundleExists(CallerError):
    """A bundle is where a new one was to be written."""

    status = 409
    code = "bundle_exists"
    title = "Bundle exists already"


def write(
    folder: Path,
    contract: BundleContract,
    *,
    model: bytes,
    reference: "pa.Table",
    parity: Parity,
    native: Callable[[Path], Iterable[str]] | None = None,
) -> Bundle:
    """Returns the bundle written to `folder`, which appears in one step, whole.

    `contract` comes without `files`. `native` writes the estimator's own format into a folder and returns the
    names of the files (`Fitted.save_native`).

    Raises:
        BundleExists: `folder` is there already.
        BundleDamaged: `parity` is about another graph than `model`.
    """
    import pyarrow.parquet as pq

    if folder.exists():
        raise BundleExists(
            f"There is a bundle in {folder} already, and bundles never change.",
            next_step="Choose another folder.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a rename within one file system.
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        (staging / MODEL).write_bytes(model)
        if sha256_of(staging / MODEL) != parity.model_sha256:
            raise BundleDamaged(folder, PARITY, "certifies another graph than this model.onnx")
        pq.write_table(reference, staging / REFERENCE, compression="zstd")
        write_text(staging / PARITY, parity.model_dump_json(indent=2) + "\n")
        _write_native(staging, native, model)
        digests = {name: sha256_of(staging / name) for name in files_in(staging)}
        whole = sealed(contract.model_copy(update={"files": digests}))
        write_text(staging / CONTRACT, rendered(whole))
        for name in (CONTRACT, *digests):
            (staging / name).chmod(_READ_ONLY)
        staging.chmod(0o755)
        try:
            staging.rename(folder)
        except OSError as exc:
            raise BundleExists(
                f"Another process wrote a bundle to {folder} meanwhile.", next_step="Choose another folder."
            ) from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Bundle(folder, whole, parity)


def _write_native(staging: Path, native: Callable[[Path], Iterable[str]] | None, model: bytes) -> None:
    """Writes the estimator's own format, and the part of the graph that makes what it explains."""
    if native is None:
        return
    folder = staging / NATIVE
    folder.mkdir()
    if not tuple(native(folder)):
        folder.rmdir()
        return
    features = features_part(model)
    if features is not None:
        (staging / NATIVE_FEATURES).write_bytes(features)
