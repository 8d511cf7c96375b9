"""An event as short plain text: a headline, facts and lists, without the markup of any channel.

Every format renders these parts and escapes them in its own way; here nothing is escaped, but no part holds a
control character, so that a line stays a line, whatever stood in an e-mail.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

from monitoring.alerts.event import AlertEvent, Change, Command
from records.tables.monitoring_alerts import AlertKind

_WORDS: Final = {
    Change.WORSENED: "Worse: ",
    Change.ACKNOWLEDGED: "Acknowledged: ",
    Change.RESOLVED: "Resolved: ",
    Change.TEST: "Test: ",
}
_BY_WHAT: Final = (AlertKind.PERFORMANCE_DEGRADATION, AlertKind.CONCEPT_DRIFT)
"""Their family says what told of it, labels or an estimate."""
_HEADLINE: Final = 150
_LINE: Final = 500
_CUT: Final = "…"


class Text(NamedTuple):
    """The parts of a message, the most important first; what does not apply is empty."""

    headline: str
    """What happened to what, in at most 150 characters."""
    summary: str
    """What moved and by how much, in a sentence."""
    facts: tuple[tuple[str, str], ...]
    """Names and values: since when, how many requests, who and why."""
    moved: tuple[str, ...]
    """The top three features, a line each."""
    examples: tuple[str, ...]
    """Up to three request ids."""
    links: tuple[tuple[str, str], ...]
    """Names and addresses: the alert, the report, the runbook."""
    commands: tuple[Command, ...]


def text_of(event: AlertEvent) -> Text:
    """Returns the parts of a message about `event`."""
    return Text(
        headline=headline(event),
        summary=plain(event.summary, _LINE),
        facts=tuple((name, plain(value, _LINE)) for name, value in _facts(event) if value),
        moved=tuple(
            plain(f"{each.name}: {each.reference} in the reference, {each.current} now", _LINE)
            for each in event.evidence.moved
        ),
        examples=tuple(plain(each, _LINE) for each in event.evidence.examples),
        links=tuple(
            (name, address)
            for name, address in (
                ("Alert", event.console),
                ("Report", event.report),
                ("Runbook", event.runbook),
            )
            if address
        ),
        commands=event.commands,
    )


def headline(event: AlertEvent) -> str:
    """Returns what happened to what, in one line of at most 150 characters."""
    return plain(
        f"{_WORDS.get(event.change, '')}{event.severity} {trouble(event.kind, event.family)}, "
        f"{event.model} in {event.environment}",
        _HEADLINE,
    )


def trouble(kind: str, family: str) -> str:
    """Returns what an alert is about: `data drift of header`, `concept drift by labels`."""
    link = "by" if kind in _BY_WHAT else "of"
    return kind.replace("_", " ") + (f" {link} {family}" if family else "")


def lines_of(event: AlertEvent) -> list[str]:
    """Returns the whole message as lines of plain text, for a terminal, a log or a description field."""
    text = text_of(event)
    lines = [text.headline, text.summary, *(f"{name}: {value}" for name, value in text.facts)]
    lines += [f"- {line}" for line in text.moved]
    if text.examples:
        lines.append(f"For example: {', '.join(text.examples)}")
    lines += [f"{name}: {address}" for name, address in text.links]
    lines += [f"{each.purpose}: {each.command}" for each in text.commands]
    return [line for line in lines if line]


def plain(value: str, most: int) -> str:
    """Returns `value` in one line of at most `most` characters, without control and format characters."""
    visible = "".join(" " if unicodedata.category(each) in _UNSEEN else each for each in value)
    line = " ".join(visible.split())
    return line if len(line) <= most else line[: most - 1] + _CUT


_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's control, format (which turn the direction of text), surrogate and separator characters."""


def _facts(event: AlertEvent) -> Iterator[tuple[str, str]]:
    evidence = event.evidence
    yield "Version", event.version or ""
    yield "Since", f"{evidence.since or event.opened_at:%Y-%m-%d %H:%M} UTC"
    yield "Requests", f"{evidence.rows:,}" if evidence.rows else ""
    yield "Seen", f"{event.occurrences:,} times" if event.occurrences > 1 else ""
    yield "Effect on verdicts", evidence.effect
    yield "Cause", evidence.cause
    yield "By", event.actor
    yield "Reason", event.reason
