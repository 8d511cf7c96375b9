"""Signed messages that were received, each once: rows of `webhook_deliveries` that nobody has to send.

Their channel holds a slash, which no configured channel's name can; they are delivered from the beginning.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables import WebhookDelivery
from records.tables.webhook_deliveries import DeliveryStatus

CHANNEL: Final = "hooks/drift"
ID_LENGTH: Final = 256
"""Longest id of a message."""


async def take(
    session: AsyncSession, message_id: str, *, change: str, payload: dict[str, Any], now: datetime
) -> bool:
    """Writes that a message was received, and returns False if it was received before, by any process.

    Of two transactions with the same message the second waits for the first, and is told False if that one
    is committed.
    """
    statement = upsert(session, WebhookDelivery).values(
        id=time_ordered_uuid(),
        deduplication_key=_key(message_id),
        alert_id=None,
        channel=CHANNEL,
        change=change,
        payload=payload,
        status=DeliveryStatus.DELIVERED,
        attempts=1,
        next_attempt_at=now,
        created_at=now,
        delivered_at=now,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["deduplication_key"])
    answer = await (await session.connection()).execute(statement.returning(WebhookDelivery.id))
    return answer.scalar_one_or_none() is not None


async def answer(session: AsyncSession, message_id: str, payload: dict[str, Any]) -> None:
    """Writes what became of a message that `take` took in this transaction."""
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.deduplication_key == _key(message_id))
        .values(payload=payload)
    )


async def answered(session: AsyncSession, message_id: str) -> dict[str, Any] | None:
    """Returns what became of a message that was received before, or None."""
    return await session.scalar(
        select(WebhookDelivery.payload).where(WebhookDelivery.deduplication_key == _key(message_id))
    )


def _key(message_id: str) -> str:
    return f"{CHANNEL}/{message_id}"
