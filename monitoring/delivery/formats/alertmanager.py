"""Alertmanager: the API v2, as Prometheus itself would tell it.

To Alertmanager an alert is its labels. Severity is one of them, since routes go by it: when it changes, the
alert of the former severity ends in the same request in which the new one begins. And an alert without an end
ends by itself after `resolve_timeout`; ours is told once, so its end lies far ahead until it is resolved.

https://prometheus.io/docs/alerting/latest/alerts_api/
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.text import lines_of
from monitoring.delivery.channel import Channel
from monitoring.delivery.request import Request, json_request
from records.tables.monitoring_alerts import Severity

PATH: Final = "/api/v2/alerts"
FAR: Final = timedelta(days=365)
"""How far ahead the end of an open alert lies."""
_TEST_ENDS: Final = timedelta(minutes=5)


def request(channel: Channel, event: AlertEvent, *, told: Collection[Severity] = ()) -> Request:
    """Returns the POST to the Alertmanager whose root `channel` names."""
    root = urlsplit(channel.url.get_secret_value())
    url = urlunsplit(root._replace(path=root.path.rstrip("/").removesuffix(PATH) + PATH))
    headers = (
        {} if channel.secret is None else {"Authorization": f"Bearer {channel.secret.get_secret_value()}"}
    )
    return json_request(url, list(_alerts(event, told)), headers)


def alert_name(event: AlertEvent) -> str:
    """Returns the name that routes and silences go by: `SluiceDataDrift`."""
    kind = "test" if event.change is Change.TEST else event.kind.value
    return "Sluice" + "".join(word.capitalize() for word in kind.split("_"))


def _alerts(event: AlertEvent, told: Collection[Severity]) -> Iterator[dict[str, Any]]:
    is_open = event.change is not Change.RESOLVED
    if is_open or not told:
        yield _alert(event, event.severity, ends=_end(event) if is_open else event.at)
    for severity in sorted(set(told)):
        if not (is_open and severity is event.severity):
            yield _alert(event, severity, ends=event.at)


def _end(event: AlertEvent) -> datetime:
    return event.at + (_TEST_ENDS if event.change is Change.TEST else FAR)


def _alert(event: AlertEvent, severity: Severity, *, ends: datetime) -> dict[str, Any]:
    labels = {
        "alertname": alert_name(event),
        "severity": severity.value,
        "model": event.model,
        "environment": event.environment.value,
        "family": event.family,
        "source": "sluice",
    }
    annotations = {
        "summary": event.summary,
        "description": "\n".join(lines_of(event)),
        "runbook_url": event.runbook,
        "report": event.report,
        "alert_id": str(event.alert_id or ""),
        "model_version": event.version or "",
    }
    alert: dict[str, Any] = {
        # An empty label is none to Alertmanager, and an empty annotation says nothing.
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": event.opened_at.isoformat(),
        "endsAt": max(ends, event.opened_at).isoformat(),
    }
    if event.console.startswith(("https://", "http://")):
        alert["generatorURL"] = event.console
    return alert
