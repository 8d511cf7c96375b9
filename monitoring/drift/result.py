"""What a drift run found: plain frozen documents, for a terminal, a page, a series and an alert."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from contracts.environments import Environment


class Document(BaseModel):
    """The base of what is found; it goes through JSON and back unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Verdict(StrEnum):
    """What is said of a family."""

    QUIET = "quiet"
    """Nothing that chance does not do."""
    SMALL = "small"
    """More than chance, and less than the floor."""
    DRIFT = "drift"
    """More than chance, and at least the floor."""


class Cause(StrEnum):
    """Why a family drifted, where the rows themselves tell."""

    FEATURE_STORE = "feature_store"
    """Rows that were answered with defaults, as the feature store did not answer; the others are quiet."""


class FeatureDrift(Document):
    """How far one column moved."""

    name: str
    psi: float
    ks: float | None
    """None for categories, which have no order."""
    moved: float
    """The least share of rows that would have to change bins, less what chance moves in the mean."""
    p_value: float
    """Adjusted for the columns of its family, not for the families."""
    drifted: bool
    """Whether it is, for itself, a reason for its family's verdict."""
    reference: str
    """Its values in the reference, in words."""
    current: str
    """Its values in the window, in words."""


class FamilyDrift(Document):
    """The verdict on one family of columns."""

    family: str
    verdict: Verdict
    sentence: str
    """The verdict in words."""
    p_value: float
    """Adjusted for its columns and, by Holm, for all families of the run."""
    features: tuple[FeatureDrift, ...]
    """All its columns, the one that moved most surely first."""
    since: datetime | None = None
    """Of a drift: the start of the first window of this version that it was found in without a quiet one
    since."""
    examples: tuple[str, ...] = ()
    """Of a drift: up to three request ids whose values the reference hardly knows."""
    cause: Cause | None = None

    @property
    def top(self) -> tuple[FeatureDrift, ...]:
        """The three columns to look at first."""
        return self.features[:3]


class DriftResult(Document):
    """What one run found of one model version in one environment."""

    model: str
    environment: Environment
    version: str
    kind: str
    """`period` or `rows`: how the window was chosen. Windows of one kind never overlap."""
    window_start: datetime
    window_end: datetime
    measured_at: datetime
    rows: int
    rows_left_out: int = 0
    """Earlier rows of the window, beyond the most that is looked at."""
    reference_rows: int
    defaulted_rows: int = 0
    """Rows with numbers that are defaults because the feature store did not answer."""
    families: tuple[FamilyDrift, ...]
    not_measured: tuple[str, ...] = ()
    """One sentence for each thing that could not be compared."""
    report: Path | None = None
    """The page for people."""
    seconds: float = Field(default=0, ge=0)
    """What the comparison took."""

    @property
    def drifted(self) -> tuple[FamilyDrift, ...]:
        """The families with drift."""
        return tuple(found for found in self.families if found.verdict is Verdict.DRIFT)
