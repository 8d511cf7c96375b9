"""The request for a channel: in the format that it is configured with."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from monitoring.alerts.event import AlertEvent
from monitoring.delivery.channel import Channel
from monitoring.delivery.formats import alertmanager, pagerduty, slack, webhook
from monitoring.delivery.request import Request
from records.tables.monitoring_alerts import Severity


def rendered(
    channel: Channel, event: AlertEvent, *, delivery_id: UUID, at: datetime, told: Collection[Severity] = ()
) -> Request:
    """Returns the request that tells `channel` of `event`, in an attempt made `at`.

    `delivery_id` is the same in every attempt; `told` are the severities that the channel was told of this
    alert before.
    """
    match channel.format:
        case "slack":
            return slack.request(channel, event)
        case "pagerduty":
            return pagerduty.request(channel, event)
        case "webhook":
            return webhook.request(channel, event, delivery_id=delivery_id, at=at)
        case "alertmanager":
            return alertmanager.request(channel, event, told=told)
