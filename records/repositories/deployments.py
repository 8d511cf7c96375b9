"""The ledger: append, read, and nothing else; the database refuses the rest."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from contracts.environments import Environment
from records.tables import ModelDeployment
from records.tables.model_deployments import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeployment:
    """One move to be written down; the fields are columns of `model_deployments`."""

    model_name: str
    environment: Environment
    action: Action
    from_version: str | None
    to_version: str
    actor: str
    reason: str
    gate: dict[str, Any]
    created_at: datetime


async def append(session: AsyncSession, deployment: NewDeployment) -> ModelDeployment:
    """Writes one move of an environment into the ledger and returns its row.

    Raises:
        RecordRejected: a name or the reason is blank or too long, or the two versions are the same.
    """
    row = ModelDeployment(**asdict(deployment))
    session.add(row)
    await session.flush()
    return row


async def history(
    session: AsyncSession,
    *,
    model_name: str | None = None,
    environment: Environment | None = None,
    limit: int = 100,
) -> list[ModelDeployment]:
    """Returns the latest moves, newest first, of one model and environment or of all."""
    query = select(ModelDeployment)
    if model_name is not None:
        query = query.where(ModelDeployment.model_name == model_name)
    if environment is not None:
        query = query.where(ModelDeployment.environment == environment)
    query = query.order_by(ModelDeployment.created_at.desc(), ModelDeployment.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def serving(session: AsyncSession, *, model_name: str | None = None) -> list[ModelDeployment]:
    """Returns the latest move of each model and environment: what serves where, and since when."""
    other = aliased(ModelDeployment)
    latest = (
        select(other.id)
        .where(
            other.model_name == ModelDeployment.model_name, other.environment == ModelDeployment.environment
        )
        .order_by(other.created_at.desc(), other.id.desc())
        .limit(1)
        .correlate(ModelDeployment)
        .scalar_subquery()
    )
    query = select(ModelDeployment).where(ModelDeployment.id == latest)
    if model_name is not None:
        query = query.where(ModelDeployment.model_name == model_name)
    return list(
        await session.scalars(query.order_by(ModelDeployment.model_name, ModelDeployment.environment))
    )
