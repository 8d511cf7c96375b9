"""How much of the outbox was not delivered, by channel: for metrics and pages."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from records.columns import UtcDateTime
from records.tables import WebhookDelivery
from records.tables.webhook_deliveries import DeliveryStatus


class Waiting(NamedTuple):
    """Messages of one channel that were not delivered."""

    channel: str
    status: DeliveryStatus
    """`pending` or `dead`."""
    messages: int
    oldest: datetime
    """Since when the first of them could have gone: when it was queued, or the mute over it ends."""


async def waiting(session: AsyncSession) -> list[Waiting]:
    """Returns how many messages wait for each channel, and how many were given up."""
    table = WebhookDelivery
    since = case((table.attempts == 0, table.next_attempt_at), else_=table.created_at)
    query = (
        select(table.channel, table.status, func.count(), func.min(since, type_=UtcDateTime()))
        .where(table.status.in_([DeliveryStatus.PENDING, DeliveryStatus.DEAD]))
        .group_by(table.channel, table.status)
        .order_by(table.channel, table.status)
    )
    return [
        Waiting(channel, DeliveryStatus(status), count, oldest)
        for channel, status, count, oldest in await session.execute(query)
    ]
