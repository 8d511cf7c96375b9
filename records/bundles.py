"""Bundles on this machine: fetched from the registry once, verified whenever somebody asks for one."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import structlog

from kit.bundle import Bundle, BundleDamaged, load
from kit.files import locked
from kit.home import Home
from records.model_registry import ModelRegistry

_WAIT_SECONDS: Final = 300

log: Final = structlog.get_logger(__name__)


def fetched(registry: ModelRegistry, home: Home, model: str, version: str) -> Bundle:
    """Returns the bundle of a version, every byte of it checked against the digest that the registry holds.

    It lies at `home.bundles/<model>/<version>`, whole or not at all; a damaged one is fetched again.

    Raises:
        VersionMissing: the registry does not know it.
        RegistryUnavailable: it is not here, and the registry or its store does not answer.
        BundleDamaged: what the registry gives is not what was registered.
        Locked: another process has been fetching it for too long.
    """
    wanted = registry.version(model, version)
    folder = home.bundles / model / wanted.version
    # A version that another hand registered has no digest; its own contract still vouches for its files.
    digest = wanted.bundle_digest or None
    what = f"The download of version {wanted.version} of {model}"
    with locked(home.bundles / model / f".{wanted.version}.lock", what=what, timeout_seconds=_WAIT_SECONDS):
        if folder.exists():
            try:
                return load(folder, digest=digest)
            except BundleDamaged as exc:
                log.warning("bundle_fetched_again", model=model, version=wanted.version, reason=exc.message)
        _download(registry, model, wanted.version, folder, digest)
        return load(folder, digest=digest)


def _download(registry: ModelRegistry, model: str, version: str, folder: Path, digest: str | None) -> None:
    """Puts the verified bundle into `folder` in one step."""
    staging = Path(tempfile.mkdtemp(prefix=f".{version}.", suffix=".part", dir=folder.parent))
    try:
        got = registry.download(model, version, staging / "new")
        load(got, digest=digest)
        if folder.exists():
            folder.rename(staging / "damaged")
        got.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
