"""What is found of live performance: plain frozen documents."""

from datetime import datetime
from enum import StrEnum

from contracts.environments import Environment
from monitoring.drift.result import Document


class Kind(StrEnum):
    """What a worse figure means."""

    PERFORMANCE = "performance_degradation"
    """The answers are worse than promised, for whatever reason; the mix of classes counts."""
    CONCEPT = "concept_drift"
    """Within a class the answers are worse: what makes a message what it is has changed."""


class LiveFigure(Document):
    """One figure over a window, with its 95 % interval, next to the certificate's."""

    name: str
    value: float
    low: float
    high: float
    certificate: float
    certificate_rows: int
    """Rows that the certificate's figure stands on: it has a spread of its own."""
    p_value: float
    """That it only seems so much lower; adjusted by Holm for the figures of its kind. 1 for an estimate."""
    worse: bool
    """Lower beyond chance, and by at least the floor."""


class LivePerformance(Document):
    """What the labels, or without them the scores, say of one version in one environment."""

    model: str
    environment: Environment
    version: str
    window_start: datetime
    window_end: datetime
    measured_at: datetime
    estimate: bool
    """True if no label was read: what calibrated scores promise, if only the inputs have changed."""
    rows: int
    """Labelled rows; of an estimate, all rows."""
    of_rows: int
    """Predictions in the window."""
    figures: tuple[LiveFigure, ...]
    degraded: bool
    """Precision, recall or F1 (with more than two classes, accuracy) is worse than the certificate's."""
    concept_drift: bool
    """The share of right answers within a class is worse. Never told by an estimate, which cannot see it."""
    sentence: str
    notes: tuple[str, ...] = ()
