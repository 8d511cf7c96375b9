"""PagerDuty: the Events API v2. One cause is one incident: its changes carry the same `dedup_key`.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

import hashlib
from typing import Any, Final

from kit.errors import Bug
from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.text import Text, text_of
from monitoring.delivery.channel import Channel
from monitoring.delivery.request import Request, json_request

DEDUP_KEY: Final = 255
SUMMARY: Final = 1024
BODY_BYTES: Final = 512 << 10
CLIENT: Final = "Sluice"

_ACTIONS: Final = {
    Change.OPENED: "trigger",
    Change.WORSENED: "trigger",
    Change.TEST: "trigger",
    Change.ACKNOWLEDGED: "acknowledge",
    Change.RESOLVED: "resolve",
}


def request(channel: Channel, event: AlertEvent) -> Request:
    """Returns the POST to the Events API that `channel` names.

    Raises:
        Bug: it would be longer than PagerDuty takes.
    """
    if channel.secret is None:
        raise Bug(f"Channel {channel.name} has no routing key.")
    action = _ACTIONS[event.change]
    document: dict[str, Any] = {
        "routing_key": channel.secret.get_secret_value(),
        "event_action": action,
        "dedup_key": dedup_key(event),
    }
    if action == "trigger":
        document |= _incident(event)
    made = json_request(channel.url.get_secret_value(), document)
    if len(made.body) > BODY_BYTES:
        raise Bug(f"An event of {len(made.body)} bytes is more than PagerDuty takes.")
    return made


def dedup_key(event: AlertEvent) -> str:
    """Returns the stable key of the cause, or its hash where PagerDuty would not take it whole."""
    key = f"sluice/{event.key}"
    return key if len(key) <= DEDUP_KEY else f"sluice/{hashlib.sha256(key.encode()).hexdigest()}"


def _incident(event: AlertEvent) -> dict[str, Any]:
    text = text_of(event)
    links = [(name, address) for name, address in text.links if address.startswith(("https://", "http://"))]
    incident: dict[str, Any] = {
        "client": CLIENT,
        "links": [{"href": address, "text": name} for name, address in links],
        "payload": {
            "summary": f"{text.headline}. {text.summary}"[:SUMMARY],
            "source": f"{event.model}/{event.environment}",
            "severity": event.severity.value,  # all of ours are among theirs
            "timestamp": event.at.isoformat(),
            "component": event.model,
            "group": event.environment.value,
            "class": event.kind.value,
            "custom_details": _details(text),
        },
    }
    if event.console.startswith(("https://", "http://")):
        incident["client_url"] = event.console
    return incident


def _details(text: Text) -> dict[str, Any]:
    details: dict[str, Any] = {"Summary": text.summary, **dict(text.facts)}
    if text.moved:
        details["What moved"] = list(text.moved)
    if text.examples:
        details["Examples"] = list(text.examples)
    details["Commands"] = {each.purpose: each.command for each in text.commands}
    details |= {name: address for name, address in text.links if name not in details}
    return details
