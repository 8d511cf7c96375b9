"""`dataset_metrics`: one value of one metric over one window of rows; read as series."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from contracts.environments import Environment
from records.columns import CleanString, FiniteNumber, UtcDateTime, json_column
from records.tables.registry import NAME_LENGTH, VERSION_LENGTH, Row, not_blank, one_of

TRAINING: Final = "training"
"""The source of a metric over a training set, beside the environments."""

SOURCES: Final = (TRAINING, *Environment)


class DatasetMetric(Row):
    """One measured value. The columns up to `window_end` are its identity: measured again, it is replaced.

    `dataset` is a model version where `source` is an environment, and a data fingerprint where it is
    `training`. `family` and `feature` are empty where the metric is about all of them: a null would make two
    rows out of one identity.
    """

    __tablename__ = "dataset_metrics"

    model_name: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    source: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    dataset: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    metric: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    family: Mapped[str] = mapped_column(CleanString(NAME_LENGTH), default="")
    feature: Mapped[str] = mapped_column(CleanString(NAME_LENGTH), default="")
    window_start: Mapped[datetime] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime] = mapped_column(UtcDateTime)

    measured_at: Mapped[datetime] = mapped_column(UtcDateTime)
    value: Mapped[float] = mapped_column(FiniteNumber)
    row_count: Mapped[int]
    """Rows that the value was computed from."""

    details: Mapped[dict[str, Any]] = mapped_column(json_column())

    __table_args__ = (
        one_of("source", SOURCES),
        not_blank("metric"),
        CheckConstraint("window_start <= window_end", name="window"),
        CheckConstraint("row_count >= 0", name="row_count"),
        UniqueConstraint(
            "model_name",
            "source",
            "dataset",
            "metric",
            "family",
            "feature",
            "window_start",
            "window_end",
            name="uq_dataset_metrics_identity",
        ),
        # A series across versions, oldest first.
        Index(
            "ix_dataset_metrics_series", "model_name", "source", "metric", "family", "feature", "window_end"
        ),
    )
