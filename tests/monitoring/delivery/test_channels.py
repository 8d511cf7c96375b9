"""A channel is refused where it is configured, with words that hold no secret."""

import json
from typing import Any

import pytest

from kit.settings import SettingsError
from monitoring.delivery.channel import Channel
from monitoring.settings import MonitoringSettings
from tests.monitoring.delivery.events import ROUTING_KEY, SECRET, channel, settings

HOOK = "https://hooks.slack.com/services/T0/B0/XXXX"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "slack", "url": "ftp://hooks.slack.com/XXXX"}, "must begin with https:// or http://"),
        ({"format": "slack", "url": "https://ann:XXXX@hooks.slack.com/"}, "must not hold a user"),
        ({"format": "slack", "url": "https://@hooks.slack.com/XXXX"}, "must not hold a user"),
        ({"format": "slack", "url": "https://hooks.slack.com/ XXXX"}, "without spaces"),
        ({"format": "slack", "url": "https://hooks.släck.com/XXXX"}, "ASCII"),
        ({"format": "slack", "url": "https:///XXXX"}, "names no host"),
        ({"format": "slack", "url": "https://hooks.slack.com:99999/XXXX"}, "no port that exists"),
        ({"format": "slack", "url": "https://hooks.slack.com:0/XXXX"}, "no port that exists"),
        ({"format": "slack", "url": "https://hooks.slack.com/#XXXX"}, "fragment"),
        ({"format": "slack", "url": HOOK, "secret": "XXXX"}, "takes no secret"),
        ({"format": "webhook", "url": "https://example.org/XXXX"}, "needs a secret"),
        ({"format": "webhook", "url": "https://example.org/", "secret": "whsec_XXXX"}, "24 to 64"),
        ({"format": "webhook", "url": "https://example.org/", "secret": "XXXX" * 8}, "24 to 64"),
        ({"format": "webhook", "url": "https://example.org/", "secret": "whsec_XXXX!"}, "24 to 64"),
        ({"format": "pagerduty", "url": "https://events.pagerduty.com/XXXX"}, "needs a secret"),
        ({"format": "alertmanager", "url": "http://am:9093", "secret": "XXXX\r\nX: y"}, "with spaces"),
        ({"format": "carrier-pigeon", "url": HOOK}, "'slack'"),
        ({"format": "slack", "url": HOOK, "name": "On Call"}, "pattern"),
        ({"format": "slack", "url": HOOK, "colour": "red"}, "Extra inputs"),
    ],
)
def test_a_wrong_channel_is_refused(
    values: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one sentence that says which and why."""
    monkeypatch.setenv("MONITORING_CHANNELS", json.dumps([{"name": "on-call"} | values]))
    with pytest.raises(SettingsError) as refused:
        MonitoringSettings.load()
    assert words in refused.value.message
    assert "XXXX" not in refused.value.message


def test_right_channels_are_taken() -> None:
    """Of every format."""
    for form, url in (
        ("slack", HOOK),
        ("pagerduty", "https://events.pagerduty.com/v2/enqueue"),
        ("webhook", "https://[2606:4700::1111]:8443/hooks?team=ml"),
        ("alertmanager", "http://alertmanager:9093/prefix"),
    ):
        assert channel(form, url).name == "on-call"
    assert channel("webhook", HOOK, secret=SECRET.rstrip("=")).name == "on-call"


def test_a_channel_shows_no_secret() -> None:
    """Neither by itself nor in the settings."""
    told = (channel("webhook", HOOK), channel("pagerduty", HOOK, name="pager"))
    shown = repr(told) + str(told) + repr(settings(*told)) + settings(*told).model_dump_json()
    assert SECRET not in shown
    assert ROUTING_KEY not in shown
    assert "XXXX" not in shown


def test_a_network_that_is_none_is_refused() -> None:
    """Or that has bits of a host: it may be a mistyped one."""
    for network in ("10.0.0.1/8", "localhost", "10.0.0.0/40"):
        with pytest.raises(SettingsError, match="MONITORING_EGRESS_ALLOWED"):
            MonitoringSettings.load(egress_allowed=(network,))


def test_two_channels_of_one_name_are_refused() -> None:
    """Messages name their channel."""
    with pytest.raises(SettingsError, match="two channels are named on-call"):
        settings(
            channel("slack", HOOK),
            Channel.model_validate({"name": "on-call", "format": "slack", "url": HOOK}),
        )
