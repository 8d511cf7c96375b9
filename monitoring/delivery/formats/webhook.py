"""Standard Webhooks: the event itself as JSON, signed; `standardwebhooks` signs and verifies it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks import Webhook

from kit.errors import Bug
from monitoring.alerts.event import AlertEvent
from monitoring.delivery.channel import Channel
from monitoring.delivery.request import Request, common_headers


def request(channel: Channel, event: AlertEvent, *, delivery_id: UUID, at: datetime) -> Request:
    """Returns the POST of `event`, signed; the id stays the same in every attempt, the time is the attempt's.

    Raises:
        Bug: the channel has no signing secret.
    """
    if channel.secret is None:
        raise Bug(f"Channel {channel.name} has no signing secret.")
    body = event.model_dump_json()
    signature = Webhook(channel.secret.get_secret_value()).sign(str(delivery_id), at.astimezone(UTC), body)
    headers = {
        "webhook-id": str(delivery_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    return Request(url=channel.url.get_secret_value(), headers=common_headers() | headers, body=body.encode())
