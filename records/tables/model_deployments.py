"""`model_deployments`: the ledger of what served where, since when, by whose word. It is append-only.

Triggers of both databases refuse UPDATE and DELETE (and TRUNCATE); the migration makes them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from records.columns import CleanString, UtcDateTime, json_column
from records.tables.registry import (
    NAME_LENGTH,
    REASON_LENGTH,
    VERSION_LENGTH,
    Row,
    in_an_environment,
    not_blank,
    one_of,
)


class Action(StrEnum):
    """Why a version took another's place."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


class ModelDeployment(Row):
    """One move of an environment from a model version to another."""

    __tablename__ = "model_deployments"

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model_name: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    environment: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))
    action: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))

    from_version: Mapped[str | None] = mapped_column(CleanString(VERSION_LENGTH))
    """The version that served before; null for the first one."""

    to_version: Mapped[str] = mapped_column(CleanString(VERSION_LENGTH))

    actor: Mapped[str] = mapped_column(CleanString(NAME_LENGTH))
    """Who: a person, or the name of a job."""

    reason: Mapped[str] = mapped_column(CleanString(REASON_LENGTH))
    """Why, in words."""

    gate: Mapped[dict[str, Any]] = mapped_column(json_column())
    """What the gate found: its verdict, its reasons and its figures."""

    __table_args__ = (
        in_an_environment(),
        one_of("action", Action),
        not_blank("to_version"),
        not_blank("actor"),
        not_blank("reason"),
        CheckConstraint("from_version <> to_version", name="moves"),
        Index(None, "model_name", "environment", "created_at", "id"),
        Index(None, "created_at", "id"),
    )
