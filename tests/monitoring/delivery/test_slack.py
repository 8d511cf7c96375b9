"""A message is one that Slack takes, whatever stands in the event, and nothing in it is markup but ours."""

import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from monitoring.alerts.event import Change, Command, Evidence, Moved
from monitoring.delivery.formats import slack
from records.tables.monitoring_alerts import Severity
from tests.monitoring.delivery.events import channel, event
from tests.monitoring.delivery.shapes import SlackMessage

HOOK = channel("slack", "https://hooks.slack.com/services/T0/B0/secret")
LONG = "<&>" * 2000


def message(body: bytes) -> SlackMessage:
    """Returns a message that Slack would take."""
    return SlackMessage.model_validate_json(body)


def test_a_message_says_what_happened_and_what_to_do() -> None:
    """What moved, since when, how many, examples, links as buttons, commands that can be pasted."""
    request = slack.request(HOOK, event())
    assert (request.method, request.url) == ("POST", "https://hooks.slack.com/services/T0/B0/secret")
    assert request.headers["Content-Type"] == "application/json"
    found = message(request.body)
    assert [block.type for block in found.blocks] == ["header", "section"]
    (attachment,) = found.attachments
    assert attachment.color == "#daa038"
    whole = "\n".join(found.texts())
    for part in ("Received headers fell from 4 to 1.", "received_count", "mean 4.1", "1,234", "request-2"):
        assert part in whole
    assert "```sluice alerts ack 1 --reason 'looking into it'```" in whole
    buttons = [each for block in attachment.blocks if block.type == "actions" for each in block.elements]
    assert [(each.text.text, each.url) for each in buttons] == [
        ("Alert", "https://sluice.example.org/console/alerts/1"),
        ("Report", "https://sluice.example.org/console/reports/1.html"),
    ]
    assert "Runbook: docs/runbooks/data_drift.md" in whole  # a path is no link


@pytest.mark.parametrize(
    ("change", "severity", "colour"),
    [
        (Change.OPENED, Severity.INFO, "#439fe0"),
        (Change.WORSENED, Severity.CRITICAL, "#d00000"),
        (Change.RESOLVED, Severity.CRITICAL, "#2eb886"),
        (Change.TEST, Severity.WARNING, "#daa038"),
    ],
)
def test_the_colour_is_that_of_the_severity(change: Change, severity: Severity, colour: str) -> None:
    """And green when it is over."""
    found = message(slack.request(HOOK, event(change, severity=severity)).body)
    assert found.attachments[0].color == colour


def test_no_text_is_markup() -> None:
    """A sender's text can not mention anybody, hide a link, or leave a code block."""
    hostile = "<!channel> <https://evil.example|here> & `x`"
    found = message(
        slack.request(
            HOOK,
            event(
                summary=hostile,
                family="<!here>",
                evidence=Evidence(
                    moved=(Moved(name=hostile, reference=hostile, current=hostile),), examples=(hostile,)
                ),
                commands=(Command(purpose="look", command="echo ``` <!channel>"),),
            ),
        ).body
    )
    for text in found.texts():
        assert "<" not in text
        assert ">" not in text
        assert not re.search(r"&(?!(amp|lt|gt);)", text)
    assert "&lt;!channel&gt; &lt;https://evil.example|here&gt; &amp; `x`" in found.texts()
    code = next(text for text in found.texts() if text.startswith("Look"))
    assert code == "Look\n```echo ''' &lt;!channel&gt;```"


def test_limits_hold() -> None:
    """The longest texts are cut, and never within an escape."""
    made = event(
        summary=LONG,
        family=LONG,
        actor=LONG,
        reason=LONG,
        evidence=Evidence(
            moved=tuple(Moved(name=LONG, reference=LONG, current=LONG) for _ in range(50)),
            examples=(LONG,) * 50,
            effect=LONG,
            cause=LONG,
        ),
        console="https://sluice.example.org/" + "x" * 4000,
        commands=tuple(Command(purpose="look", command=LONG) for _ in range(100)),
    )
    found = message(slack.request(HOOK, made).body)
    for text in found.texts():
        assert not re.search(r"&(?!(amp|lt|gt);)", text)


@pytest.mark.parametrize("most", [1, 2, 5, 6, 7, 10])
def test_escapes_are_cut_whole(most: int) -> None:
    """At every limit."""
    cut = slack.escaped("&<>&<>", most)
    assert len(cut) <= most
    assert re.fullmatch(r"(&(amp|lt|gt);)*…?", cut)
    assert slack.escaped("a&b", 7) == "a&amp;b"


TEXT = st.text(max_size=400)


@effort(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(summary=TEXT, family=TEXT, name=TEXT, effect=TEXT, example=TEXT, actor=TEXT, report=TEXT)
def test_every_event_makes_a_message(
    summary: str, family: str, name: str, effect: str, example: str, actor: str, report: str
) -> None:
    """Also an empty one, or one of control characters."""
    made = event(
        summary=summary,
        family=family,
        actor=actor,
        report=report,
        evidence=Evidence(
            moved=(Moved(name=name, reference=effect, current=summary),), examples=(example,), effect=effect
        ),
    )
    message(slack.request(HOOK, made).body)
