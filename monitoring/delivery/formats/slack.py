"""Slack: a message of Block Kit for an incoming webhook.

Header and summary stand above; what belongs to them is an attachment, since only those have a colour. What
Slack allows of each block: https://docs.slack.dev/reference/block-kit/blocks.
"""

from collections.abc import Iterator
from typing import Any, Final

from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.text import Text, text_of
from monitoring.delivery.channel import Channel
from monitoring.delivery.request import Request, json_request
from records.tables.monitoring_alerts import Severity

HEADER: Final = 150
SECTION: Final = 3000
FIELDS: Final = 10
FIELD: Final = 2000
ITEMS: Final = 10
"""Lines of a list and commands that are shown; Slack takes 50 blocks, and a person fewer."""
BUTTON: Final = 75
ADDRESS: Final = 3000

_COLOURS: Final = {Severity.INFO: "#439fe0", Severity.WARNING: "#daa038", Severity.CRITICAL: "#d00000"}
_DONE: Final = "#2eb886"
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""The three characters that Slack gives a meaning; so no text can mention, link or shout."""
_CUT: Final = "…"


def request(channel: Channel, event: AlertEvent) -> Request:
    """Returns the POST to the webhook of `channel`."""
    text = text_of(event)
    document = {
        "text": escaped(f"{text.headline}. {text.summary}", SECTION),  # for notifications and screen readers
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": escaped(text.headline, HEADER)}},
            *([_section(escaped(text.summary, SECTION))] if text.summary else []),
        ],
        "attachments": [{"color": _colour(event), "blocks": list(_details(text))}],
    }
    return json_request(channel.url.get_secret_value(), document)


def escaped(text: str, most: int) -> str:
    """Returns `text` without markup, of at most `most` characters as Slack counts them."""
    parts: list[str] = []
    size = 0
    for each in text:
        part = _ESCAPES.get(each, each)
        if size + len(part) > most:
            while size + len(_CUT) > most:
                size -= len(parts.pop())
            return "".join(parts) + _CUT
        parts.append(part)
        size += len(part)
    return "".join(parts)


def _colour(event: AlertEvent) -> str:
    return _DONE if event.change is Change.RESOLVED else _COLOURS[event.severity]


def _details(text: Text) -> Iterator[dict[str, Any]]:
    if fields := text.facts[:FIELDS]:
        yield {
            "type": "section",
            "fields": [
                _markup(f"*{escaped(name, BUTTON)}*\n{escaped(value, FIELD // 2)}") for name, value in fields
            ],
        }
    if text.moved:
        yield _section(_lines("What moved", text.moved[:ITEMS]))
    if text.examples:
        yield _context(f"For example: {escaped(', '.join(text.examples), FIELD)}")
    for command in text.commands[:ITEMS]:
        code = escaped(command.command.replace("`", "'"), FIELD)
        yield _section(f"{escaped(command.purpose.capitalize(), BUTTON)}\n```{code}```")
    if buttons := [each for each in text.links if _is_link(each[1])][:ITEMS]:
        yield {"type": "actions", "elements": [_button(*each) for each in buttons]}
    if paths := [f"{name}: {path}" for name, path in text.links if not _is_link(path)]:
        yield _context(escaped(" · ".join(paths), FIELD))


def _lines(title: str, lines: tuple[str, ...]) -> str:
    share = (SECTION - 100) // len(lines)
    return "\n".join([f"*{title}*", *(f"• {escaped(line, share - 3)}" for line in lines)])


def _is_link(address: str) -> bool:
    return address.startswith(("https://", "http://")) and len(address) <= ADDRESS


def _button(name: str, address: str) -> dict[str, Any]:
    label = {"type": "plain_text", "text": escaped(name, BUTTON)}
    return {"type": "button", "text": label, "url": address, "action_id": f"open-{name.lower()}"[:BUTTON]}


def _section(markup: str) -> dict[str, Any]:
    return {"type": "section", "text": _markup(markup)}


def _context(markup: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_markup(markup)]}


def _markup(markup: str) -> dict[str, Any]:
    # verbatim: what looks like an address or a channel in it is no link.
    return {"type": "mrkdwn", "text": markup, "verbatim": True}
