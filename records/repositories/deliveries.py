"""The outbox: queue, claim, and say how the attempt ended."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from records.errors import RecordMissing
from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables import WebhookDelivery
from records.tables.registry import REASON_LENGTH
from records.tables.webhook_deliveries import DeliveryStatus


class Claimed(NamedTuple):
    """Messages that are this claim's alone until its lease ends."""

    claim: UUID
    deliveries: list[WebhookDelivery]


async def enqueue(
    session: AsyncSession,
    *,
    alert_id: UUID | None,
    change: str,
    channel: str,
    payload: dict[str, Any],
    now: datetime,
    deduplication_key: str | None = None,
) -> UUID | None:
    """Queues a message and returns its id, or None if this change is queued for this channel already.

    Call it in the transaction that changes the alert: then there is never the one without the other.
    """
    key = time_ordered_uuid()
    statement = upsert(session, WebhookDelivery).values(
        id=key,
        deduplication_key=deduplication_key or f"{alert_id or key}/{change}/{channel}",
        alert_id=alert_id,
        channel=channel,
        change=change,
        payload=payload,
        status=DeliveryStatus.PENDING,
        attempts=0,
        next_attempt_at=now,
        created_at=now,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["deduplication_key"])
    answer = await (await session.connection()).execute(statement.returning(WebhookDelivery.id))
    written: UUID | None = answer.scalar_one_or_none()
    return written


async def claim_due(session: AsyncSession, *, now: datetime, lease: timedelta, limit: int = 10) -> Claimed:
    """Takes up to `limit` due messages for the length of `lease`, counts the attempt, and returns them.

    Two claims never take the same message. Commit before sending; if the sender dies, its messages are due again
    when the lease ends, and are then sent a second time: at least once, and not at most once.
    """
    due = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.status == DeliveryStatus.PENDING, WebhookDelivery.next_attempt_at <= now)
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .limit(limit)
        # PostgreSQL steps over rows that another claim holds; SQLite has one writer, and leaves this out.
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claim = uuid4()
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(select(due.c.id)))
        .values(claim=claim, next_attempt_at=now + lease, attempts=WebhookDelivery.attempts + 1)
        .returning(WebhookDelivery)
    )
    rows = await session.scalars(
        statement, execution_options={"populate_existing": True, "synchronize_session": False}
    )
    return Claimed(claim, sorted(rows, key=lambda delivery: delivery.id))


async def mark_delivered(
    session: AsyncSession, delivery_id: UUID, claim: UUID, *, now: datetime, http_status: int
) -> bool:
    """Writes that the message arrived; returns False if the claim had passed to another sender."""
    return await _end(
        session,
        _held(delivery_id, claim),
        status=DeliveryStatus.DELIVERED,
        delivered_at=now,
        last_status=http_status,
        last_error=None,
    )


async def mark_failed(
    session: AsyncSession,
    delivery_id: UUID,
    claim: UUID,
    *,
    error: str,
    next_attempt_at: datetime,
    http_status: int | None = None,
) -> bool:
    """Writes that an attempt failed and when the next is due; returns False if the claim had passed on."""
    return await _end(
        session,
        _held(delivery_id, claim),
        next_attempt_at=next_attempt_at,
        last_status=http_status,
        last_error=error[:REASON_LENGTH],
        claim=None,
    )


async def mark_dead(
    session: AsyncSession, delivery_id: UUID, claim: UUID, *, error: str, http_status: int | None = None
) -> bool:
    """Gives up on a message until a person resends it; returns False if the claim had passed on."""
    return await _end(
        session,
        _held(delivery_id, claim),
        status=DeliveryStatus.DEAD,
        last_status=http_status,
        last_error=error[:REASON_LENGTH],
    )


async def resend(session: AsyncSession, delivery_id: UUID, *, now: datetime) -> None:
    """Makes a dead message due at once, with its attempts counted from zero.

    Raises:
        RecordMissing: there is no such dead message.
    """
    dead = (WebhookDelivery.id == delivery_id) & (WebhookDelivery.status == DeliveryStatus.DEAD)
    if not await _end(
        session, dead, status=DeliveryStatus.PENDING, attempts=0, next_attempt_at=now, claim=None
    ):
        raise RecordMissing(f"There is no dead delivery {delivery_id}.")


async def dead_letters(session: AsyncSession, *, limit: int = 100) -> list[WebhookDelivery]:
    """Returns the messages that were given up, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.status == DeliveryStatus.DEAD)
    query = query.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def of_alert(session: AsyncSession, alert_id: UUID) -> list[WebhookDelivery]:
    """Returns every message about an alert, oldest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.alert_id == alert_id)
    return list(await session.scalars(query.order_by(WebhookDelivery.created_at, WebhookDelivery.id)))


def _held(delivery_id: UUID, claim: UUID) -> ColumnElement[bool]:
    pending = WebhookDelivery.status == DeliveryStatus.PENDING
    return (WebhookDelivery.id == delivery_id) & (WebhookDelivery.claim == claim) & pending


async def _end(session: AsyncSession, which: ColumnElement[bool], **values: Any) -> bool:
    statement = update(WebhookDelivery).where(which).values(**values).returning(WebhookDelivery.id)
    answer = await session.execute(statement, execution_options={"synchronize_session": False})
    return answer.scalar_one_or_none() is not None
