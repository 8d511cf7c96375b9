"""The outbox: queue, claim, and say how the attempt ended."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from records.errors import DeliveryOvertaken, RecordMissing
from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables import MonitoringAlert, WebhookDelivery
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

    It is due at once, unless `due` is later; what was queued for later about the same cause then goes before
    it. Call it in the transaction that changes the alert: then there is never the one without the other. A
    message without an alert (a test) is always queued.
    """
    key = time_ordered_uuid()
    at = max(now, due or now)
    statement = upsert(session, WebhookDelivery).values(
        id=key,
        deduplication_key=f"{message.alert_id or key}/{message.change}/{message.channel}",
        **asdict(message),
        status=DeliveryStatus.PENDING,
        attempts=0,
        next_attempt_at=at,
        created_at=now,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["deduplication_key"])
    answer = await (await session.connection()).execute(statement.returning(WebhookDelivery.id))
    written: UUID | None = answer.scalar_one_or_none()
    if written is not None and message.alert_id is not None:
        await _not_later_than(session, message, at)
    return written


async def due_channels(session: AsyncSession, *, now: datetime) -> set[str]:
    """Returns the channels for which messages are due; a look that keeps no writer waiting."""
    query = select(WebhookDelivery.channel).where(
        WebhookDelivery.status == DeliveryStatus.PENDING, WebhookDelivery.next_attempt_at <= now
    )
    return set(await session.scalars(query.distinct()))


async def claim_due(
    session: AsyncSession, *, now: datetime, lease: timedelta, limit: int = 10, channel: str | None = None
) -> list[WebhookDelivery]:
    """Takes up to `limit` due messages for the length of `lease`, counts the attempt, and returns them.

    Of the messages to one channel about one cause only the oldest is due: `resolved` waits for `opened`, and
    the next alert of the cause for the end of the one before. What was given up holds nothing up.

    Two claims never take the same message. Commit before sending. If the sender dies, its messages are due
    again when the lease ends, and may be sent a second time: at least once, and not at most once.
    """
    due = [
        WebhookDelivery.status == DeliveryStatus.PENDING,
        WebhookDelivery.next_attempt_at <= now,
        ~_another_of_the_cause(DeliveryStatus.PENDING, earlier=True),
    ]
    if channel is not None:
        due.append(WebhookDelivery.channel == channel)
    return await _claimed(session, *due, until=now + lease, limit=limit)


async def claim(
    session: AsyncSession, delivery_id: UUID, *, now: datetime, lease: timedelta
) -> WebhookDelivery | None:
    """Takes one message as `claim_due` does, out of its turn; None if it is not due, or not pending."""
    which = (
        WebhookDelivery.id == delivery_id,
        WebhookDelivery.status == DeliveryStatus.PENDING,
        WebhookDelivery.next_attempt_at <= now,
    )
    claimed = await _claimed(session, *which, until=now + lease, limit=1)
    return claimed[0] if claimed else None


async def mark_delivered(
    session: AsyncSession, delivery: WebhookDelivery, *, now: datetime, http_status: int
) -> bool:
    """Writes that a claimed message arrived; returns False if the claim has passed to another sender."""
    return bool(
        await _changed(
            session,
            _still_held(delivery),
            status=DeliveryStatus.DELIVERED,
            delivered_at=now,
            last_status=http_status,
            last_error=None,
        )
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
    return bool(
        await _changed(
            session,
            _still_held(delivery),
            next_attempt_at=next_attempt_at,
            last_status=http_status,
            last_error=error[:REASON_LENGTH],
            claim=None,
        )
    )


async def mark_dead(
    session: AsyncSession, delivery: WebhookDelivery, *, error: str, http_status: int | None = None
) -> bool:
    """Gives up on a message until a person resends it; returns False if the claim has passed on."""
    return bool(
        await _changed(
            session,
            _still_held(delivery),
            status=DeliveryStatus.DEAD,
            last_status=http_status,
            last_error=error[:REASON_LENGTH],
        )
    )


async def bury_unconfigured(
    session: AsyncSession, channels: Collection[str], *, now: datetime, error: str
) -> int:
    """Gives up on due messages to channels that are none of `channels`; returns how many there were."""
    unknown = (
        (WebhookDelivery.status == DeliveryStatus.PENDING)
        & (WebhookDelivery.next_attempt_at <= now)
        & WebhookDelivery.channel.not_in(channels)
    )
    return await _changed(session, unknown, status=DeliveryStatus.DEAD, last_error=error, claim=None)


async def resend(session: AsyncSession, delivery_id: UUID, *, now: datetime) -> None:
    """Makes a dead message due at once, with its attempts counted from zero.

    Raises:
        RecordMissing: there is no such dead message.
        DeliveryOvertaken: the channel was told of a later change since.
    """
    dead = (WebhookDelivery.id == delivery_id) & (WebhookDelivery.status == DeliveryStatus.DEAD)
    if await _resent(session, dead, now=now):
        return
    if await session.scalar(select(WebhookDelivery.id).where(dead)) is None:
        raise RecordMissing(f"There is no dead delivery {delivery_id}.")
    raise DeliveryOvertaken(
        f"Delivery {delivery_id} is out of date: its channel was told of a later change since.",
        next_step="Leave it: `sluice alerts list` shows what is open.",
    )


async def resend_all(session: AsyncSession, *, now: datetime) -> int:
    """Makes the dead messages due that no later one has overtaken; returns how many."""
    return await _resent(session, WebhookDelivery.status == DeliveryStatus.DEAD, now=now)


async def by_id(session: AsyncSession, delivery_id: UUID) -> WebhookDelivery | None:
    """Returns the message, or None."""
    return await session.get(WebhookDelivery, delivery_id)


async def latest(session: AsyncSession, *, limit: int = 100) -> list[WebhookDelivery]:
    """Returns the latest messages, newest first, whatever became of them."""
    query = select(WebhookDelivery).order_by(WebhookDelivery.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def dead_letters(session: AsyncSession, *, limit: int = 100) -> list[WebhookDelivery]:
    """Returns the messages that were given up, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.status == DeliveryStatus.DEAD)
    query = query.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def of_alert(session: AsyncSession, alert_id: UUID) -> list[WebhookDelivery]:
    """Returns every message about an alert, oldest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.alert_id == alert_id)
    return list(await session.scalars(query.order_by(WebhookDelivery.created_at, WebhookDelivery.id)))


async def told_before(session: AsyncSession, delivery: WebhookDelivery) -> list[dict[str, Any]]:
    """Returns the earlier payloads about the same alert to the same channel, oldest first."""
    query = select(WebhookDelivery.payload).where(
        WebhookDelivery.alert_id == delivery.alert_id,
        WebhookDelivery.channel == delivery.channel,
        WebhookDelivery.id < delivery.id,
    )
    return list(await session.scalars(query.order_by(WebhookDelivery.id)))


async def _not_later_than(session: AsyncSession, message: Message, at: datetime) -> None:
    alert, its_alert = aliased(MonitoringAlert), aliased(MonitoringAlert)
    of_the_cause = (
        select(its_alert.id).join(alert, alert.key == its_alert.key).where(alert.id == message.alert_id)
    )
    deferred = (
        (WebhookDelivery.status == DeliveryStatus.PENDING)
        & (WebhookDelivery.attempts == 0)
        & (WebhookDelivery.channel == message.channel)
        & (WebhookDelivery.next_attempt_at > at)
        & WebhookDelivery.alert_id.in_(of_the_cause)
    )
    await _changed(session, deferred, next_attempt_at=at)


def _another_of_the_cause(status: DeliveryStatus, *, earlier: bool) -> ColumnElement[bool]:
    """Whether its channel has an earlier (or later) message of `status` about the same cause."""
    other, its_alert, alert = aliased(WebhookDelivery), aliased(MonitoringAlert), aliased(MonitoringAlert)
    return exists(
        select(other.id)
        .join(its_alert, its_alert.id == other.alert_id)
        .join(alert, alert.key == its_alert.key)
        .where(
            other.status == status,
            other.channel == WebhookDelivery.channel,
            other.id < WebhookDelivery.id if earlier else other.id > WebhookDelivery.id,
            alert.id == WebhookDelivery.alert_id,
        )
        .correlate(WebhookDelivery)
    )


async def _claimed(
    session: AsyncSession, *which: ColumnElement[bool], until: datetime, limit: int
) -> list[WebhookDelivery]:
    due = (
        select(WebhookDelivery.id)
        .where(*which)
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .limit(limit)
        # PostgreSQL steps over rows that another claim holds; SQLite has one writer, and leaves this out.
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(select(due.c.id)))
        .values(claim=uuid4(), next_attempt_at=until, attempts=WebhookDelivery.attempts + 1)
        .returning(WebhookDelivery)
    )
    rows = await session.scalars(
        statement, execution_options={"populate_existing": True, "synchronize_session": False}
    )
    return sorted(rows, key=lambda delivery: delivery.id)


async def _resent(session: AsyncSession, which: ColumnElement[bool], *, now: datetime) -> int:
    current = which & ~_another_of_the_cause(DeliveryStatus.DELIVERED, earlier=False)
    return await _changed(
        session, current, status=DeliveryStatus.PENDING, attempts=0, next_attempt_at=now, claim=None
    )


def _still_held(delivery: WebhookDelivery) -> ColumnElement[bool]:
    return (
        (WebhookDelivery.id == delivery.id)
        & (WebhookDelivery.claim == delivery.claim)
        & (WebhookDelivery.status == DeliveryStatus.PENDING)
    )


async def _changed(session: AsyncSession, which: ColumnElement[bool], **values: Any) -> int:
    statement = update(WebhookDelivery).where(which).values(**values).returning(WebhookDelivery.id)
    # What the caller holds stays as it was claimed: its claim is the proof of the next call.
    answer = await session.execute(statement, execution_options={"synchronize_session": False})
    return len(answer.all())
