"""What is signed is verified by the kept library, and by nothing else than the secret it was signed with."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from monitoring.alerts.event import AlertEvent
from monitoring.delivery.formats import webhook
from monitoring.delivery.request import Request
from tests.monitoring.delivery.events import SECRET, channel, event

DELIVERY = UUID("0199f2c3-5d1e-7000-8000-000000000001")
CHANNEL = channel("webhook", "https://receiver.example.org/hooks/drift")


def signed(at: datetime | None = None) -> Request:
    """Returns a request, signed now unless told when."""
    return webhook.request(CHANNEL, event(), delivery_id=DELIVERY, at=at or datetime.now(UTC))


def test_a_receiver_verifies_it_and_reads_the_event() -> None:
    """The body is the event itself; the id is the delivery's, the time the attempt's."""
    at = datetime.now(timezone(timedelta(hours=5)))
    request = signed(at)
    Webhook(SECRET).verify(request.body, request.headers)
    assert AlertEvent.model_validate_json(request.body) == event()
    assert request.headers["webhook-id"] == str(DELIVERY)
    assert request.headers["webhook-timestamp"] == str(int(at.timestamp()))


def test_another_body_time_id_or_secret_is_refused() -> None:
    """Each is part of what is signed."""
    request = signed()
    other = "whsec_" + base64.b64encode(b"another secret of 24 bytes").decode()
    later = str(int(request.headers["webhook-timestamp"]) + 1)
    for secret, body, changed in (
        (SECRET, request.body.replace(b"warning", b"info"), {}),
        (SECRET, request.body, {"webhook-timestamp": later}),
        (SECRET, request.body, {"webhook-id": "another"}),
        (other, request.body, {}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, request.headers | changed)


def test_an_old_message_is_refused() -> None:
    """Who recorded one cannot send it again for ever."""
    request = signed(datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(request.body, request.headers)
