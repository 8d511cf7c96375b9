"""An event is one that PagerDuty takes, and the changes of a cause join one incident."""

import json

import pytest

from monitoring.alerts.event import Change, Command, Evidence, Moved
from monitoring.delivery.formats import pagerduty
from records.tables.monitoring_alerts import Severity
from tests.monitoring.delivery.events import ROUTING_KEY, channel, event
from tests.monitoring.delivery.shapes import PagerDutyEvent

CHANNEL = channel("pagerduty", "https://events.pagerduty.com/v2/enqueue")


def sent(change: Change = Change.OPENED, **changed: object) -> PagerDutyEvent:
    """Returns what PagerDuty would take."""
    return PagerDutyEvent.model_validate_json(pagerduty.request(CHANNEL, event(change, **changed)).body)


@pytest.mark.parametrize(
    ("change", "action"),
    [
        (Change.OPENED, "trigger"),
        (Change.WORSENED, "trigger"),
        (Change.ACKNOWLEDGED, "acknowledge"),
        (Change.RESOLVED, "resolve"),
        (Change.TEST, "trigger"),
    ],
)
def test_each_change_is_an_action_on_one_incident(change: Change, action: str) -> None:
    """All of them carry the stable key of the cause, and the routing key."""
    found = sent(change)
    assert found.event_action == action
    assert found.dedup_key == "sluice/spam-detector/production/data_drift/header"
    assert found.routing_key == ROUTING_KEY


@pytest.mark.parametrize("severity", list(Severity))
def test_an_incident_says_what_happened(severity: Severity) -> None:
    """In the fields that PagerDuty knows."""
    found = sent(severity=severity)
    assert found.payload is not None
    assert found.payload.severity == severity.value
    assert found.payload.summary.endswith("Received headers fell from 4 to 1.")
    assert found.payload.source == "spam-detector/production"
    assert found.payload.class_ == "data_drift"
    assert found.payload.custom_details["Examples"] == ["request-1", "request-2"]
    assert found.payload.custom_details["Commands"] == {
        "acknowledge": "sluice alerts ack 1 --reason 'looking into it'"
    }
    assert found.payload.custom_details["Runbook"] == "docs/runbooks/data_drift.md"
    assert found.links is not None
    assert [each.text for each in found.links] == ["Alert", "Report"]
    assert found.client_url == "https://sluice.example.org/console/alerts/1"


def test_links_are_addresses_only() -> None:
    """Where no console is known there is none."""
    found = sent(console="", report="/home/sluice/reports/1.html")
    assert found.links == []
    assert found.client_url is None


def test_limits_hold() -> None:
    """Of lengths and of the whole body; a key that is too long is told by its hash, always the same."""
    long = "ä€😀" * 400
    made = event(
        key="x" * 400,
        summary=long,
        evidence=Evidence(
            moved=tuple(Moved(name=long, reference=long, current=long) for _ in range(20)),
            examples=(long,) * 3,
            effect=long,
            cause=long,
        ),
        commands=tuple(Command(purpose="look", command=long) for _ in range(20)),
    )
    request = pagerduty.request(CHANNEL, made)
    found = PagerDutyEvent.model_validate_json(request.body)
    assert len(request.body) < pagerduty.BODY_BYTES
    assert found.dedup_key == sent(Change.RESOLVED, key="x" * 400).dedup_key
    assert found.dedup_key != sent(key="x" * 401).dedup_key


def test_what_is_shown_of_a_request_holds_no_secret() -> None:
    """Its repr, as a stack trace or a log might show it."""
    request = pagerduty.request(CHANNEL, event())
    assert ROUTING_KEY in json.loads(request.body)["routing_key"]
    assert ROUTING_KEY not in repr(request)
    assert "enqueue" not in repr(request)
