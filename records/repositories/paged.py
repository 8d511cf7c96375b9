"""Lists as people read them: the newest first, a page at a time."""

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from records.tables import ExperimentRun, ModelDeployment, MonitoringAlert, WebhookDelivery
from records.tables.registry import Row
from records.tables.webhook_deliveries import DeliveryStatus

ROWS: Final = 25
"""Rows of a page."""
PAGES: Final = 400
"""The last page that is shown; what lies further back is found with SQL."""

Kind = TypeVar("Kind", bound=Row)


@dataclass(frozen=True, slots=True)
class Page(Generic[Kind]):
    """One page of a table."""

    rows: list[Kind]
    number: int
    """From 1."""
    more: bool
    """Whether another one follows."""


async def alerts(
    session: AsyncSession, number: int, *, open_only: bool = True, environment: Environment | None = None
) -> Page[MonitoringAlert]:
    """Returns a page of the alerts: of the open ones, or of all."""
    table = MonitoringAlert
    query = select(table)
    if open_only:
        query = query.where(table.resolved_at.is_(None))
    if environment is not None:
        query = query.where(table.environment == environment)
    return await _page(session, query.order_by(table.opened_at.desc(), table.id.desc()), number)


async def deployments(session: AsyncSession, number: int) -> Page[ModelDeployment]:
    """Returns a page of the ledger."""
    table = ModelDeployment
    return await _page(session, select(table).order_by(table.created_at.desc(), table.id.desc()), number)


async def runs(session: AsyncSession, number: int) -> Page[ExperimentRun]:
    """Returns a page of the runs of the training pipeline."""
    table = ExperimentRun
    return await _page(session, select(table).order_by(table.started_at.desc(), table.id.desc()), number)


async def dead_letters(session: AsyncSession, number: int) -> Page[WebhookDelivery]:
    """Returns a page of the messages that were given up."""
    table = WebhookDelivery
    query = select(table).where(table.status == DeliveryStatus.DEAD)
    return await _page(session, query.order_by(table.created_at.desc(), table.id.desc()), number)


async def _page(session: AsyncSession, query: Select[Any], number: int) -> Page[Kind]:
    number = min(max(number, 1), PAGES)
    rows: list[Kind] = list(await session.scalars(query.offset((number - 1) * ROWS).limit(ROWS + 1)))
    return Page(rows[:ROWS], number, more=len(rows) > ROWS and number < PAGES)
