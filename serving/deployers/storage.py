"""Where a cluster reads models from: Triton's repository and the transformer's bundle, as prefixes.

A prefix is named by the versions it holds and a part of their digests, so its content never changes, and a
pod that starts late reads what its neighbours read. It ends with a slash: the downloader of KServe takes
every key that begins with a prefix, and `…/2` is the beginning of `…/21` too.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kit.bundle import Bundle
from kit.errors import OperationalError
from serving.model_repository import Layout, ModelOptions, add_version, write_config

_DIGITS: Final = 8


class StorageFailed(OperationalError):
    """The store cannot be written."""

    code = "storage_failed"
    title = "The model store does not take the files"


def repository_prefix(bundles: Mapping[str, Bundle]) -> str:
    """Returns the place of the Triton repository that holds `bundles` (by version) and nothing else."""
    model = next(iter(bundles.values())).contract.workload
    return f"{model}/repositories/{'_'.join(_named(bundles, version) for version in ordered(bundles))}/"


def bundle_prefix(version: str, bundle: Bundle) -> str:
    """Returns the place of a bundle itself, which the transformer reads."""
    return f"{bundle.contract.workload}/bundles/{_named({version: bundle}, version)}/"


def upload_repository(bundles: Mapping[str, Bundle], root: str, options: ModelOptions) -> str:
    """Writes Triton's repository of `bundles` below `root` and returns its prefix; again is the same again.

    Raises:
        StorageFailed: the store refuses, or does not answer.
    """
    prefix = repository_prefix(bundles)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        for version, bundle in bundles.items():
            add_version(repository, bundle, version, Layout.ONNXRUNTIME)
        newest = bundles[ordered(bundles)[-1]]
        write_config(repository, newest.contract, ordered(bundles), Layout.ONNXRUNTIME, options)
        _copy(repository, root, prefix)
    return prefix


def upload_bundle(version: str, bundle: Bundle, root: str) -> str:
    """Writes a bundle below `root` and returns its prefix; again is the same again.

    Raises:
        StorageFailed: the store refuses, or does not answer.
    """
    prefix = bundle_prefix(version, bundle)
    _copy(bundle.folder, root, prefix)
    return prefix


def ordered(versions: Mapping[str, object]) -> list[str]:
    """Returns versions, lowest first."""
    return sorted(versions, key=int)


def _named(bundles: Mapping[str, Bundle], version: str) -> str:
    return f"{version}-{bundles[version].digest[:_DIGITS]}"


def _copy(folder: Path, root: str, prefix: str) -> None:
    import pyarrow as pa
    from pyarrow import fs

    try:
        if "://" in root:
            store, base = fs.FileSystem.from_uri(root)
        else:
            store, base = fs.LocalFileSystem(), str(Path(root).expanduser().absolute())
        target = f"{base.rstrip('/')}/{prefix.rstrip('/')}"
        store.create_dir(target, recursive=True)
        fs.copy_files(
            str(folder), target, source_filesystem=fs.LocalFileSystem(), destination_filesystem=store
        )
    except (OSError, pa.ArrowException) as exc:
        raise StorageFailed(
            f"{root} cannot be written ({type(exc).__name__}).",
            next_step="Check DEPLOYMENT_REPOSITORY_URI and the credentials of that store.",
        ) from exc
