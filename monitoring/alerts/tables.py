"""Alerts as tables and lines for a terminal, and as documents for a script."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape

from kit.terminal import print_table
from monitoring.alerts.book import Entry, muted
from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.text import lines_of, plain
from records.tables import MonitoringAlert, WebhookDelivery
from records.tables.registry import REASON_LENGTH

_CELL = 300
_ENTRY = 2 * REASON_LENGTH


def print_alerts(found: Sequence[MonitoringAlert], now: datetime, *, every: bool) -> None:
    """Prints alerts, newest first; with `every` one also their ids, since keys then repeat.

    A key that is folded into a column could not be copied, so that they are lines and no table.
    """
    if not found:
        sys.stdout.write("No alert.\n" if every else "No open alert.\n")
        return
    for alert in found:
        times = "once" if alert.occurrences == 1 else f"{alert.occurrences:,} times"
        facts = (
            alert.severity,
            state(alert, now),
            f"since {alert.opened_at:%Y-%m-%d %H:%M} UTC",
            f"seen {times}",
        )
        named = [plain(alert.key, _CELL), *([str(alert.id)] if every else [])]
        sys.stdout.write("\n    ".join([*named, ", ".join(facts), plain(alert.summary, _CELL)]) + "\n")


def print_alert(
    alert: MonitoringAlert, event: AlertEvent, told: Sequence[WebhookDelivery], now: datetime
) -> None:
    """Prints all that is known of one alert: what was seen, what people did, who was told."""
    lines = [*lines_of(event), f"Id: {alert.id}", f"Key: {plain(alert.key, _CELL)}"]
    lines.append(f"State: {state(alert, now)}")
    for entry in alert.history:
        who = plain(f"{entry['action']} by {entry['actor']}: {entry['reason']}", _ENTRY)
        lines.append(f"{datetime.fromisoformat(entry['at']):%Y-%m-%d %H:%M} UTC: {who}")
    # Not through rich, which would break commands and addresses into lines that nobody can copy.
    sys.stdout.write("\n".join(lines) + "\n")
    if told:
        rows = [
            (
                *_cells(message.channel, message.change, message.status),
                f"{message.attempts:,}",
                *_cells(message.last_error or ""),
            )
            for message in told
        ]
        print_table("Messages", ("channel", "change", "status", "attempts", "last error"), rows)


def print_entries(entries: Sequence[Entry]) -> None:
    """Prints which alerts a run opened, worsened or resolved; what was only counted is left out."""
    for alert, change in entries:
        if change is not None:
            what = plain(f"{change}, {alert.severity}: {alert.key}", _CELL)
            sys.stdout.write(f"Alert {what}\nLook: sluice alerts show {alert.id}\n")


def state(alert: MonitoringAlert, now: datetime) -> str:
    """Returns whether an alert is open, acknowledged, muted or resolved, in a word or two."""
    if not alert.is_open:
        return "resolved"
    word = "open" if alert.acknowledged_at is None else "acknowledged"
    return f"{word}, muted until {alert.muted_until:%Y-%m-%d %H:%M} UTC" if muted(alert, now) else word


def document(alert: MonitoringAlert, now: datetime) -> dict[str, Any]:
    """Returns an alert as JSON, instants in ISO 8601."""
    instants = ("opened_at", "last_seen_at", "acknowledged_at", "resolved_at", "muted_until")
    return {
        "id": str(alert.id),
        "key": alert.key,
        "model": alert.model_name,
        "environment": alert.environment,
        "version": alert.model_version,
        "kind": alert.kind,
        "family": alert.family,
        "severity": alert.severity,
        "state": state(alert, now),
        "summary": alert.summary,
        "occurrences": alert.occurrences,
        "quiet_runs": alert.quiet_runs,
        **{name: at.isoformat() if (at := getattr(alert, name)) else None for name in instants},
        "evidence": alert.details,
        "history": alert.history,
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """Returns what became of an alert in a run as JSON; change is null if it was only counted."""
    alert, change = entry
    return {
        "id": str(alert.id),
        "key": alert.key,
        "change": change,
        "severity": alert.severity,
        "summary": alert.summary,
    }


def last_change(alert: MonitoringAlert) -> Change:
    """Returns the change that shows an alert as it stands."""
    if not alert.is_open:
        return Change.RESOLVED
    return Change.OPENED if alert.acknowledged_at is None else Change.ACKNOWLEDGED


def _cells(*values: str) -> tuple[str, ...]:
    return tuple(escape(plain(value, _CELL)) for value in values)
