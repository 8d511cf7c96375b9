"""The outbox: queue, claim, and say how the attempt ended."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from records.errors import RecordMissing
from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables import WebhookDelivery
from records.tables.registry import REASON_LENGTH
from records.tables.webhook_deliveries import DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel is to be told. The same change of the same alert goes to a channel once."""

    alert_id: UUID | None
    change: str
    channel: str
    payload: dict[str, Any]


async def enqueue(
    session: AsyncSession, message: Message, *, now: datetime, due: datetime | None = None
) -> UUID | None:
    """Queues `message` and returns its id, or None if this change is queued for this channel already.

    It is due at once, unless `due` is later. Call it in the transaction that changes the alert: then there is
    never the one without the other. A message without an alert (a test) is always queued.
    """
    key = time_ordered_uuid()
    statement = upsert(session, WebhookDelivery).values(
        id=key,
        deduplication_key=f"{message.alert_id or key}/{message.change}/{message.channel}",
        **asdict(message),
        status=DeliveryStatus.PENDING,
        attempts=0,
        next_attempt_at=max(now, due or now),
        created_at=now,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["deduplication_key"])
    answer = await (await session.connection()).execute(statement.returning(WebhookDelivery.id))
    written: UUID | None = answer.scalar_one_or_none()
    return written


async def claim_due(
    session: AsyncSession, *, now: datetime, lease: timedelta, limit: int = 10
) -> list[WebhookDelivery]:
    """Takes up to `limit` due messages for the length of `lease`, counts the attempt, and returns them.

    Two claims never take the same message. Commit before sending. If the sender dies, its messages are due
    again when the lease ends, and may be sent a second time: at least once, and not at most once.
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
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(select(due.c.id)))
        .values(claim=uuid4(), next_attempt_at=now + lease, attempts=WebhookDelivery.attempts + 1)
        .returning(WebhookDelivery)
    )
    rows = await session.scalars(
        statement, execution_options={"populate_existing": True, "synchronize_session": False}
    )
    return sorted(rows, key=lambda delivery: delivery.id)


async def mark_delivered(
    session: AsyncSession, delivery: WebhookDelivery, *, now: datetime, http_status: int
) -> bool:
    """Writes that a claimed message arrived; returns False if the claim has passed to another sender."""
    return await _changed(
        session,
        _still_held(delivery),
        status=DeliveryStatus.DELIVERED,
        delivered_at=now,
        last_status=http_status,
        last_error=None,
    )


async def mark_failed(
    session: AsyncSession,
    delivery: WebhookDelivery,
    *,
    error: str,
    next_attempt_at: datetime,
    http_status: int | None = None,
) -> bool:
    """Writes that an attempt failed and when the next is due; returns False if the claim has passed on."""
    return await _changed(
        session,
        _still_held(delivery),
        next_attempt_at=next_attempt_at,
        last_status=http_status,
        last_error=error[:REASON_LENGTH],
        claim=None,
    )


async def mark_dead(
    session: AsyncSession, delivery: WebhookDelivery, *, error: str, http_status: int | None = None
) -> bool:
    """Gives up on a message until a person resends it; returns False if the claim has passed on."""
    return await _changed(
        session,
        _still_held(delivery),
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
    if not await _changed(
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


def _still_held(delivery: WebhookDelivery) -> ColumnElement[bool]:
    return (
        (WebhookDelivery.id == delivery.id)
        & (WebhookDelivery.claim == delivery.claim)
        & (WebhookDelivery.status == DeliveryStatus.PENDING)
    )


async def _changed(session: AsyncSession, which: ColumnElement[bool], **values: Any) -> bool:
    statement = update(WebhookDelivery).where(which).values(**values).returning(WebhookDelivery.id)
    # What the caller holds stays as it was claimed: its claim is the proof of the next call.
    answer = await session.execute(statement, execution_options={"synchronize_session": False})
    return answer.scalar_one_or_none() is not None
