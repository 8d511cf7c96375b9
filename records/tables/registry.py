"""What all seven tables share: one metadata, the names of constraints, the key."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, MetaData, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from contracts.environments import Environment
from records.keys import time_ordered_uuid

NAME_LENGTH: Final = 128
"""Longest name of a model, a metric, a channel, a person."""
VERSION_LENGTH: Final = 64
"""Longest model version; also that of a label, a kind and a hex SHA-256."""
REQUEST_ID_LENGTH: Final = 128
"""Longest request id."""
REASON_LENGTH: Final = 2000
"""Longest sentence that a person or a gate gives."""


class Row(DeclarativeBase):
    """One row of any table; every constraint has a name, so that a migration can find it again."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        }
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=time_ordered_uuid, sort_order=-1)


def one_of(column: str, values: Iterable[str], *, name: str | None = None) -> CheckConstraint:
    """Returns the constraint that `column` holds one of `values`; text that a contract lists, held by SQL."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name or column)


def in_an_environment() -> CheckConstraint:
    """Returns the constraint that `environment` is one of `contracts.environments`."""
    return one_of("environment", Environment)


def not_blank(column: str) -> CheckConstraint:
    """Returns the constraint that `column` says something."""
    return CheckConstraint(f"length(trim({column})) > 0", name=f"{column}_not_blank")
