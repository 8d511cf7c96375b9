"""A message in plain text: every fact on a line of its own, whatever stood in the words of strangers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.home import Home
from monitoring.alerts.event import AlertEvent, Change, Evidence, Moved
from monitoring.alerts.events import event_of
from monitoring.alerts.text import headline, lines_of, plain, text_of, trouble
from monitoring.settings import MonitoringSettings
from tests.monitoring.alerts.story import minute, note
from tests.monitoring.alerts.test_events import alert


def event(change: Change = Change.OPENED, **changed: object) -> AlertEvent:
    """Returns an event of a drift of the headers."""
    made = event_of(
        alert(),
        change,
        MonitoringSettings.load(public_url="https://m.invalid"),
        Home(Path("nowhere")),
        at=minute(5),
        note=note(5) if change in (Change.ACKNOWLEDGED, Change.RESOLVED) else None,
    )
    return made.model_copy(update=changed)


def test_a_message_says_all_that_a_person_needs() -> None:
    """What, how much, since when, how many, what moved, examples, effect, links and commands."""
    lines = lines_of(event())
    assert lines[:2] == [
        "warning data drift of header, spam-detector in production",
        "The header features drifted.",
    ]
    for line in (
        "Version: 7",
        "Since: 2026-03-01 12:00 UTC",
        "Requests: 1,200",
        "Seen: 2 times",
        "Effect on verdicts: No change beyond chance.",
        "- hop_count: median 3 in the reference, median 9 now",
        "For example: row-1, row-2, row-3",
        "Runbook: docs/runbooks/data_drift.md",
    ):
        assert line in lines
    assert any(line.startswith("Alert: https://m.invalid/console/alerts/") for line in lines)
    assert any(line.startswith("roll back: sluice model rollback") for line in lines)


def test_what_is_not_known_is_left_out() -> None:
    """No empty lines, no zero requests, no empty lists."""
    lines = lines_of(event(evidence=Evidence(), occurrences=1, version=None, summary=""))
    assert not [line for line in lines if line.startswith(("Requests", "For example", "-", "Version"))]
    assert all(line and not line.endswith(": ") for line in lines)
    assert "Since: 2026-03-01 12:00 UTC" in lines


@pytest.mark.parametrize(
    ("kind", "family", "words"),
    [
        ("data_drift", "header", "data drift of header"),
        ("concept_drift", "labels", "concept drift by labels"),
        ("performance_degradation", "estimate", "performance degradation by estimate"),
        ("model_error", "", "model error"),
    ],
)
def test_what_an_alert_is_about_reads_as_words(kind: str, family: str, words: str) -> None:
    """Features drift; labels and estimates tell."""
    assert trouble(kind, family) == words


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        (Change.OPENED, "warning data drift"),
        (Change.WORSENED, "Worse: warning"),
        (Change.ACKNOWLEDGED, "Acknowledged: warning"),
        (Change.RESOLVED, "Resolved: warning"),
        (Change.TEST, "Test: warning"),
    ],
)
def test_a_headline_says_what_happened(change: Change, beginning: str) -> None:
    """In its first word; who did it and why follows."""
    found = event(change)
    assert headline(found).startswith(beginning)
    facts = dict(text_of(found).facts)
    if change in (Change.ACKNOWLEDGED, Change.RESOLVED):
        assert (facts["By"], facts["Reason"]) == ("ada", "looked at it")
    else:
        assert "By" not in facts


@given(st.text(max_size=3000))
def test_no_words_break_a_line(words: str) -> None:
    """Line ends, escapes of terminals, marks that turn the text around, lone surrogates."""
    evidence = Evidence(
        moved=(Moved(name=words, reference=words, current=words),),
        examples=(words,),
        effect=words,
        cause=words,
    )
    found = event(evidence=evidence, summary=words, model=words, actor=words, reason=words)
    text = text_of(found)
    parts = [text.headline, text.summary, *text.moved, *text.examples, *(value for _, value in text.facts)]
    assert len(text.headline) <= 150
    for part in parts:
        assert len(part) <= 500
        assert part.splitlines() in ([], [part])
        assert not set(part) & {"\x1b", "\x00", "\u202e", "\u2028", "\ud800"}
        part.encode()


@pytest.mark.parametrize(
    ("value", "most", "shown"),
    [
        ("a  b\n\tc", 10, "a b c"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("\u202eevil\x07", 10, "evil"),
        ("größer €", 10, "größer €"),
    ],
)
def test_plain_text(value: str, most: int, shown: str) -> None:
    """One line, cut with a mark, letters of all languages untouched."""
    assert plain(value, most) == shown
