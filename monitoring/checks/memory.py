"""Up to where each check has looked: one file below SLUICE_HOME, replaced whole.

It is written after what was found is in the records: killed between the two, a check looks at the same growth
again, which is counted once more on an alert that is open, and told to nobody twice.
"""

from pathlib import Path
from typing import Final

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from kit.files import write_text
from kit.home import Home
from monitoring.checks.snapshot import Snapshot

FILE: Final = "checks.json"
log: Final = structlog.get_logger(__name__)


class Looked(BaseModel):
    """Where the next look begins; None: at the beginning of what the gateway has counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: Snapshot | None = None
    errors: dict[str, Snapshot] = {}
    """By environment."""
    features: AwareDatetime | None = None


def read(home: Home) -> Looked:
    """Returns what the file says; one that is lost or damaged is told, and looked anew from the beginning."""
    path = _path(home)
    try:
        return Looked.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Looked()
    except (OSError, UnicodeDecodeError, ValidationError):
        log.warning("checks_forgotten", path=str(path))
        return Looked()


def write(home: Home, looked: Looked) -> None:
    """Replaces the file."""
    write_text(_path(home), looked.model_dump_json() + "\n")


def _path(home: Home) -> Path:
    return home.root / "monitoring" / FILE
