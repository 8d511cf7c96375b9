"""What a channel answered is kept short and without what opens the channel."""

import pytest

from monitoring.delivery.redaction import LENGTH, REDACTED, excerpt
from tests.monitoring.delivery.events import ROUTING_KEY, SECRET, channel

SLACK = channel(
    "slack", "https://hooks.slack.com/services/T00000000/B00000000/XxXxSecretXxXx?token=abcdef%2F123"
)


@pytest.mark.parametrize(
    "echo",
    [
        "no_service: https://hooks.slack.com/services/T00000000/B00000000/XxXxSecretXxXx?token=abcdef%2F123",
        "POST /services/T00000000/B00000000/XxXxSecretXxXx is not there",
        "the hook xxxxsecretxxxx is gone",
        "token abcdef/123 is wrong, abcdef%2F123 too",
    ],
)
def test_an_echo_of_the_address_is_taken_out(echo: str) -> None:
    """Whole, in part, or decoded."""
    kept = excerpt(echo, SLACK)
    assert REDACTED in kept
    for part in ("secret", "T00000000", "B00000000", "abcdef"):
        assert part.lower() not in kept.lower()


def test_an_echo_of_the_secret_is_taken_out() -> None:
    """The routing key, and the signing secret with or without its prefix."""
    assert ROUTING_KEY not in excerpt(f"bad key {ROUTING_KEY}", channel("pagerduty", "https://e.example/v2"))
    signed = channel("webhook", "https://e.example/v2")
    for text in (SECRET, SECRET.removeprefix("whsec_")):
        assert excerpt(f"got {text}.", signed) == f"got {REDACTED}."


def test_what_is_kept_is_one_short_line() -> None:
    """Without control characters, whatever came."""
    kept = excerpt("a\r\n\x1b[31mred\x00 \u202e" + "x" * 10_000, SLACK)
    assert kept.startswith("a [31mred x")
    assert len(kept) <= LENGTH
    assert kept.isprintable()
    assert excerpt("invalid_blocks", SLACK) == "invalid_blocks"
    assert excerpt("", SLACK) == ""
