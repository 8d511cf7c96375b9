"""What the registry holds and how it fails, in plain types that know no MLflow.

Errors::

    OperationalError
    ├── RegistryUnavailable    503  MLflow does not answer, or answers with an error
    └── RegistryUnauthorised   503  it asks for other credentials
    CallerError
    └── VersionMissing         404  no such model, version or alias
    Refused
    └── NotEligible            422  the gate refused the version, or has not spoken
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kit.errors import CallerError, OperationalError, Refused


class Standing(StrEnum):
    """What the gate has said of a model version."""

    PENDING = "pending"
    ELIGIBLE = "eligible"
    REFUSED = "refused"


class RunState(StrEnum):
    """How a tracked run ended, in MLflow's words."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class RegistryUnavailable(OperationalError):
    """MLflow cannot be reached, is silent, or failed."""

    code = "registry_unavailable"
    title = "The model registry does not answer"


class RegistryUnauthorised(OperationalError):
    """MLflow wants other credentials."""

    code = "registry_unauthorised"
    title = "The model registry refuses these credentials"


class VersionMissing(CallerError):
    """There is no such model, version or alias."""

    status = 404
    code = "version_missing"
    title = "No such model version"


class NotEligible(Refused):
    """The version must not serve anywhere."""

    code = "not_eligible"
    title = "Model version is not eligible"


@dataclass(frozen=True)
class ModelVersion:
    """One registered model version; what it is never changes, only its standing and its aliases do."""

    name: str
    version: str
    standing: Standing
    reasons: tuple[str, ...]
    """What the gate said, one sentence each; of an eligible version, what it found."""
    aliases: tuple[str, ...]
    bundle_digest: str
    """SHA-256 of the bundle's contract.json, which holds those of all other files."""
    run_id: str
    """The tracked run that made it."""
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    """Further tags, without the prefix."""
