"""What a step wrote, sealed with the hash of every file, and found again by what it was made from.

A sealed output is a folder with `step.json` beside the step's own files. Its digest names its content; its
key names what it was made from: the step, its fields, its code, and the digests of its inputs. `--from-step`
looks for the key, and takes a former output only if each of its files still has the promised hash.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from kit.errors import CallerError
from kit.files import sha256_of, write_text
from training.steps.code import code_digest
from training.steps.step import Figures, Step

SEAL: Final = "step.json"
_FORMAT: Final = 1
"""Raise it when steps write other files from the same inputs: former outputs are then not taken."""


class OutputDamaged(CallerError):
    """What an earlier step wrote is not there any more, or was changed."""

    status = 422
    code = "output_damaged"
    title = "Output of a step is damaged"


class Seal(BaseModel):
    """What `step.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    key: str
    digest: str
    files: dict[str, str]
    """SHA-256 by path inside the output."""
    figures: dict[str, Any]
    seconds: float
    finished_at: datetime
    run: str
    """The pipeline run that did the work."""


def key_of(step: Step, inputs: Mapping[str, Path]) -> str:
    """Returns the name of what `step` makes from `inputs`, whose seals are checked.

    Raises:
        OutputDamaged: an input is not sealed, or not as it was sealed.
    """
    facts = {
        "format": _FORMAT,
        "step": step.name,
        "code": code_digest(type(step).__module__, step.workload),
        "fields": step.model_dump(mode="json"),
        "inputs": {name: verified(folder).digest for name, folder in sorted(inputs.items())},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def seal(step: Step, output: Path, *, key: str, figures: Figures, seconds: float, run: str) -> Seal:
    """Hashes every file of `output` and writes its seal, as the last file."""
    files = _digests(output)
    sealed = Seal(
        step=step.name,
        key=key,
        digest=_digest(files),
        files=files,
        figures=figures,
        seconds=round(seconds, 3),
        finished_at=datetime.now(UTC),
        run=run,
    )
    write_text(output / SEAL, sealed.model_dump_json(indent=1) + "\n")
    return sealed


def read(output: Path) -> Seal:
    """Returns the seal of an output without looking at its files.

    Raises:
        OutputDamaged: there is none.
    """
    try:
        return Seal.model_validate_json((output / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as exc:
        raise OutputDamaged(
            f"{output} holds no finished output of a step.", next_step="Run the pipeline from its first step."
        ) from exc


def verified(output: Path) -> Seal:
    """Returns the seal of an output whose files are, byte for byte, what was sealed.

    Raises:
        OutputDamaged: a file is absent, changed or new; it is named.
    """
    sealed = read(output)
    found = _digests(output)
    for name in sorted(found.keys() | sealed.files.keys()):
        if found.get(name) != sealed.files.get(name):
            raise OutputDamaged(
                f"{name} in the output of step {sealed.step} ({output}) is not what the step wrote.",
                next_step="Run the pipeline again from that step, or an earlier one.",
            )
    return sealed


def find(candidates: Iterable[Path], key: str) -> Path | None:
    """Returns the first of the `candidates` that was made from what `key` names and is unchanged, or None."""
    for folder in candidates:
        try:
            if read(folder).key == key:
                verified(folder)
                return folder
        except OutputDamaged:
            continue
    return None


def take(former: Path, output: Path) -> Seal:
    """Makes `output` equal to the sealed output `former`, without copying bytes where the disk allows it."""
    shutil.copytree(former, output, copy_function=_link_or_copy, dirs_exist_ok=True)
    return read(output)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _digests(output: Path) -> dict[str, str]:
    paths = [path for path in sorted(output.rglob("*")) if path.is_file() and path != output / SEAL]
    return {str(path.relative_to(output)): sha256_of(path) for path in paths}


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
