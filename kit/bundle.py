"""A bundle as every process reads it: each byte is checked before anything is believed.

Errors::

    CallerError
    └── BundleDamaged   422  a file is absent, changed or not accounted for; it is named
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.bundle import (
    CONTRACT,
    FORMAT_VERSION,
    MODEL,
    PARITY,
    REFERENCE,
    REQUIRED_FILES,
    BundleContract,
    Parity,
)
from kit.errors import CallerError
from kit.files import sha256_of

if TYPE_CHECKING:
    import pyarrow as pa


class BundleDamaged(CallerError):
    """A bundle is not, byte for byte, what was once written."""

    status = 422
    code = "bundle_damaged"
    title = "Bundle is damaged"

    def __init__(self, folder: Path, file: str, what: str) -> None:
        super().__init__(
            f"{file} in the bundle {folder} {what}.",
            next_step="Fetch the bundle from the registry again, or train anew; a bundle is never repaired.",
        )
        self.file = file


@dataclass(frozen=True)
class Bundle:
    """A bundle that was verified when it was loaded."""

    folder: Path
    contract: BundleContract
    parity: Parity

    @property
    def model(self) -> Path:
        """The ONNX graph."""
        return self.folder / MODEL

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum((self.folder / name).stat().st_size for name in (CONTRACT, *self.contract.files))

    @property
    def digest(self) -> str:
        """SHA-256 of contract.json, which holds those of all other files: it names the bundle's content."""
        return sha256_of(self.folder / CONTRACT)

    def reference(self) -> "pa.Table":
        """Returns the reference: inputs and scores of the validation split."""
        import pyarrow.parquet as pq

        return pq.read_table(self.folder / REFERENCE)


def load(folder: Path, *, digest: str | None = None) -> Bundle:
    """Returns the bundle in `folder` after checking every byte of it.

    `digest` is the `Bundle.digest` that it must have, where the caller knows it from elsewhere.

    Raises:
        BundleDamaged: a file is absent, changed, unknown or unreadable; `file` is its name.
    """
    try:
        text = (folder / CONTRACT).read_text(encoding="utf-8")
        contract = BundleContract.model_validate_json(text)
    except FileNotFoundError as exc:
        raise BundleDamaged(folder, CONTRACT, "is absent") from exc
    except (ValidationError, UnicodeDecodeError) as exc:
        raise BundleDamaged(folder, CONTRACT, "is not a bundle's contract") from exc
    if contract.format_version != FORMAT_VERSION:
        raise BundleDamaged(
            folder, CONTRACT, f"is of format {contract.format_version}, this Sluice reads {FORMAT_VERSION}"
        )
    if text != rendered(contract) or contract != sealed(contract):
        raise BundleDamaged(folder, CONTRACT, "was changed")
    if digest is not None and sha256_of(folder / CONTRACT) != digest:
        raise BundleDamaged(folder, CONTRACT, "is not the one that was registered")
    _check_files(folder, contract)
    try:
        parity = Parity.model_validate_json((folder / PARITY).read_text(encoding="utf-8"))
    except ValidationError as exc:
        raise BundleDamaged(folder, PARITY, "is not a parity certificate") from exc
    if parity.model_sha256 != contract.files[MODEL]:
        raise BundleDamaged(folder, PARITY, "certifies another graph than this model.onnx")
    return Bundle(folder, contract, parity)


def _check_files(folder: Path, contract: BundleContract) -> None:
    for name in REQUIRED_FILES:
        if name != CONTRACT and name not in contract.files:
            raise BundleDamaged(folder, name, "is not listed in contract.json")
    found = files_in(folder)
    for name, expected in sorted(contract.files.items()):
        if name not in found:
            raise BundleDamaged(folder, name, "is absent")
        if sha256_of(folder / name) != expected:
            raise BundleDamaged(folder, name, "was changed: its SHA-256 is not the one in contract.json")
    for name in found:
        if name != CONTRACT and name not in contract.files:
            raise BundleDamaged(folder, name, "does not belong to it")


def files_in(folder: Path) -> list[str]:
    """Returns the paths of all files below `folder`, relative to it, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def sealed(contract: BundleContract) -> BundleContract:
    """Returns the contract with the digest of itself in it."""
    empty = contract.model_copy(update={"own_digest": ""})
    digest = hashlib.sha256(rendered(empty).encode()).hexdigest()
    return empty.model_copy(update={"own_digest": digest})


def rendered(contract: BundleContract) -> str:
    """Returns the one form that contract.json may have: a change of any byte of it shows."""
    return contract.model_dump_json(indent=2) + "\n"
