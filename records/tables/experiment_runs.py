"""`experiment_runs`: every run of the training pipeline, what it was asked, what the gate said."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from records.columns import CleanString, UtcDateTime, json_column
from records.tables.registry import NAME_LENGTH, REASON_LENGTH, VERSION_LENGTH, Row, not_blank, one_of


class RunStatus(StrEnum):
    """How far a run has come; `refused` ran to its end and the gate said no."""

    RUNNING = "running"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


class Trigger(StrEnum):
    """What started a run."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    DRIFT = "drift"


class ExperimentRun(Row):
    """One run: its data, its parameters, its figures, its verdict."""

    __tablename__ = "experiment_runs"

    workload: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    status: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    trigger: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))

    trigger_reason: Mapped[str | None] = mapped_column(CleanString(REASON_LENGTH))
    """Why it was started, where a machine did: the alert, its size."""

    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    mlflow_run_id: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    model_version: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    """The registered version, once there is one."""

    data_fingerprint: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    schema_digest: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    git_commit: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))

    parameters: Mapped[dict[str, Any]] = mapped_column(json_column())
    figures: Mapped[dict[str, Any]] = mapped_column(json_column())
    """Measured values by name: F1, AUC, intervals, slices."""

    reasons: Mapped[list[str]] = mapped_column(json_column())
    """What the gate said, or why the run failed; one sentence each."""

    __table_args__ = (
        one_of("status", RunStatus),
        one_of("trigger", Trigger),
        not_blank("workload"),
        CheckConstraint("(finished_at IS NULL) = (status = 'running')", name="finished"),
        # The last run, the previous accepted run, the running ones.
        Index(None, "workload", "started_at", "id"),
        Index(
            "ix_experiment_runs_accepted",
            "workload",
            "finished_at",
            sqlite_where=text("status = 'accepted'"),
            postgresql_where=text("status = 'accepted'"),
        ),
    )
