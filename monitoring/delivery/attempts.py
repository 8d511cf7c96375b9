"""One attempt to deliver a claimed message: rendered, sent, and marked with what came of it."""

import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from kit.errors import Bug
from monitoring.alerts.event import AlertEvent, Change
from monitoring.delivery.channel import Channel
from monitoring.delivery.egress import GuardedNetwork, Resolve, resolved
from monitoring.delivery.exchange import Answer, Exchange, Unanswered
from monitoring.delivery.formats.rendered import rendered
from monitoring.delivery.redaction import excerpt
from monitoring.delivery.request import Request
from monitoring.delivery.retries import Failed, asked_wait, is_lasting, next_attempt
from monitoring.durations import duration
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import deliveries
from records.tables import WebhookDelivery
from records.tables.monitoring_alerts import Severity

Clock = Callable[[], datetime]

_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)

log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of messages: delivered, to be tried again, and given up."""

    delivered: int = 0
    again: int = 0
    dead: int = 0

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(self.delivered + other.delivered, self.again + other.again, self.dead + other.dead)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How a sender reaches the world: by names, authorities and chance, which a test may give it."""

    resolve: Resolve = resolved
    tls: ssl.SSLContext | None = None
    draw: Callable[[], float] = field(default=random.random)


class Attempts:
    """What every attempt of one pass shares; `clock` tells the time of each."""

    def __init__(self, records: Records, settings: MonitoringSettings, wire: Wire, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._draw = wire.draw
        self._give_up = duration(settings.delivery_give_up)
        self._exchange = Exchange(
            GuardedNetwork(settings.egress_allowed, wire.resolve),
            seconds=settings.delivery_timeout_seconds,
            tls=wire.tls,
        )
        self.lease = timedelta(seconds=2 * settings.delivery_timeout_seconds + 60)
        """From the beginning of a turn; longer than it, the attempt that may still begin, and the mark."""

    async def attempt(self, channel: Channel, delivery: WebhookDelivery) -> Sent:
        """Sends one claimed message and marks it."""
        try:
            request = await self._rendered(channel, delivery)
            answer = await self._exchange.answer(request)
        except ValidationError:
            failed = Failed(why="what was queued cannot be read by this version", lasting=True)
        except Bug as error:
            failed = Failed(why=error.message, lasting=True)
        except Unanswered as error:
            failed = Failed(why=error.message, lasting=error.lasting)
        else:
            if answer.status in _OK:
                return await self._delivered(delivery, answer.status)
            failed = self._refusal(channel, answer)
        return await self._failed(delivery, failed)

    async def _rendered(self, channel: Channel, delivery: WebhookDelivery) -> Request:
        event = AlertEvent.model_validate(delivery.payload)
        told: set[Severity] = set()
        if channel.format == "alertmanager" and event.alert_id is not None:
            async with self._records.reading() as session:
                payloads = await deliveries.told_before(session, delivery)
            told = {AlertEvent.model_validate(payload).severity for payload in payloads}
        return rendered(channel, event, delivery_id=delivery.id, at=self._clock(), told=told)

    def _refusal(self, channel: Channel, answer: Answer) -> Failed:
        if answer.status in _REDIRECTS:
            words = "it points elsewhere, and no redirect is followed; give the channel its final url"
        else:
            words = excerpt(answer.text, channel)
        return Failed(
            why=f"HTTP {answer.status}" + (f": {words}" if words else ""),
            lasting=is_lasting(answer.status),
            http_status=answer.status,
            retry_after=asked_wait(answer.retry_after, self._clock()),
        )

    async def _delivered(self, delivery: WebhookDelivery, status: int) -> Sent:
        async with self._records.transaction() as session:
            held = await deliveries.mark_delivered(session, delivery, now=self._clock(), http_status=status)
        log.info("delivery_done", **_facts(delivery, held=held))
        return Sent(delivered=1)

    async def _failed(self, delivery: WebhookDelivery, failed: Failed) -> Sent:
        now = self._clock()
        # Who tests a channel waits for the answer, and not for hours.
        once = failed.lasting or delivery.change == Change.TEST
        wait = next_attempt(
            failed,
            attempts=delivery.attempts,
            age=now - delivery.created_at,
            give_up=self._give_up,
            draw=self._draw(),
        )
        if once or wait is None:
            words = (
                failed.why if once else f"given up after {delivery.attempts} attempts; the last: {failed.why}"
            )
            async with self._records.transaction() as session:
                held = await deliveries.mark_dead(
                    session, delivery, error=words, http_status=failed.http_status
                )
            log.warning("delivery_given_up", why=failed.why, **_facts(delivery, held=held))
            return Sent(dead=1)
        async with self._records.transaction() as session:
            held = await deliveries.mark_failed(
                session,
                delivery,
                error=failed.why,
                next_attempt_at=now + wait,
                http_status=failed.http_status,
            )
        log.info("delivery_failed", why=failed.why, **_facts(delivery, held=held))
        return Sent(again=1)


def clock_from(now: datetime) -> Clock:
    """Returns a clock that stands at `now` and goes on from there."""
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)


def _facts(delivery: WebhookDelivery, *, held: bool) -> dict[str, str | int]:
    return {
        "delivery": str(delivery.id),
        "channel": delivery.channel,
        "change": delivery.change,
        "attempts": delivery.attempts,
        # False: another sender took it over meanwhile, and its word counts.
        "held": held,
    }
