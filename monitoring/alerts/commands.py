"""`sluice alerts`: what is wrong now, and what people do about it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from contracts.environments import Environment

alerts = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Which = Annotated[
    str, typer.Argument(metavar="ALERT", help="Its id or its key, or the beginning of one that is unique.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays with the alert.")]
Actor = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who; the login name unless given.")]


@alerts.callback()
def root() -> None:
    """See, acknowledge, mute and resolve what is wrong; test who is told."""


@alerts.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    environment: Annotated[
        Environment | None,
        typer.Option("--environment", "-e", help="Only this one: staging or production."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the open alerts, newest first.

    Examples: `sluice alerts list`, `sluice alerts list --all --environment production --json`
    """
    from datetime import UTC, datetime

    from kit.terminal import print_json
    from monitoring.alerts.tables import document, print_alerts
    from records.engine import opened
    from records.repositories import alerts as rows

    async def read() -> Any:
        async with opened() as records, records.reading() as session:
            return await rows.listed(session, open_only=not every, environment=environment, limit=limit)

    found, now = asyncio.run(read()), datetime.now(UTC)
    if as_json:
        print_json([document(alert, now) for alert in found])
    else:
        print_alerts(found, now, every=every)


@alerts.command()
def show(which: Which, as_json: AsJson = False) -> None:
    """Tell all that is known of an alert: what moved, examples, effect, links, who did what, who was told.

    Examples: `sluice alerts show spam-detector/production/data_drift/header`, `sluice alerts show 019a`
    """
    from datetime import UTC, datetime

    from kit.home import home
    from kit.terminal import print_json
    from monitoring.alerts.events import event_of
    from monitoring.alerts.finding import found
    from monitoring.alerts.tables import document, last_change, print_alert
    from monitoring.settings import MonitoringSettings
    from records.engine import opened
    from records.repositories import deliveries

    async def read() -> Any:
        async with opened() as records, records.reading() as session:
            alert = await found(session, which, open_only=False)
            return alert, await deliveries.of_alert(session, alert.id)

    alert, told = asyncio.run(read())
    now = datetime.now(UTC)
    event = event_of(alert, last_change(alert), MonitoringSettings.load(), home(), at=alert.last_seen_at)
    if not as_json:
        print_alert(alert, event, told, now)
        return
    messages = [
        {"id": str(each.id), "channel": each.channel, "change": each.change, "status": each.status}
        for each in told
    ]
    links = event.model_dump(mode="json", include={"console", "report", "runbook", "commands"})
    print_json(document(alert, now) | links | {"messages": messages})


@alerts.command()
def ack(which: Which, reason: Reason, actor: Actor = None, as_json: AsJson = False) -> None:
    """Say that someone looks after an alert; who heard of it is told. It stays open.

    `sluice alerts ack spam-detector/production/data_drift/header --reason 'looking into it'`
    """
    from monitoring.alerts import book

    _changed(book.acknowledge, which, reason, actor, as_json=as_json)


@alerts.command()
def resolve(which: Which, reason: Reason, actor: Actor = None, as_json: AsJson = False) -> None:
    """Close an alert; who heard of it is told. If its cause is seen again, a new one opens.

    `sluice alerts resolve spam-detector/production/data_drift/header --reason 'version 4 serves'`
    """
    from monitoring.alerts import book

    _changed(book.resolve, which, reason, actor, as_json=as_json)


@alerts.command()
def mute(
    which: Which,
    reason: Reason,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 30m, 4h or 2d.")],
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Tell nobody of an alert, and of those of the same key that follow it, for a time.

    What is seen meanwhile is counted, and told at the first sighting after it.

    `sluice alerts mute spam-detector/staging/data_drift/header --for 4h --reason 'a load test'`
    """
    from monitoring.alerts import book
    from monitoring.durations import duration

    time = duration(length)

    async def muted(records: Any, _settings: Any, _home: Any, alert_id: Any, note: Any) -> Any:
        return await book.mute(records, alert_id, note, until=note.at + time)

    _changed(muted, which, reason, actor, as_json=as_json)


@alerts.command()
def unmute(which: Which, reason: Reason, actor: Actor = None, as_json: AsJson = False) -> None:
    """End the mute of an alert: its next sighting tells what was not told.

    `sluice alerts unmute spam-detector/staging/data_drift/header --reason 'the load test is over'`
    """
    from monitoring.alerts import book

    async def unmuted(records: Any, _settings: Any, _home: Any, alert_id: Any, note: Any) -> Any:
        return await book.unmute(records, alert_id, note)

    _changed(unmuted, which, reason, actor, as_json=as_json)


def _changed(
    change: Callable[..., Awaitable[Any]], which: str, reason: str, actor: str | None, *, as_json: bool
) -> None:
    from datetime import UTC, datetime

    from kit.home import home
    from kit.terminal import print_json, say
    from monitoring.alerts.finding import found
    from monitoring.alerts.tables import document, state
    from monitoring.alerts.text import plain
    from monitoring.settings import MonitoringSettings
    from records.engine import opened
    from records.repositories.alerts import Note

    now = datetime.now(UTC)
    note = Note(actor=_me() if actor is None else actor, reason=reason, at=now)

    async def write() -> Any:
        async with opened() as records:
            async with records.reading() as session:
                alert = await found(session, which, open_only=True)
            return (await change(records, MonitoringSettings.load(), home(), alert.id, note)).alert

    alert = asyncio.run(write())
    if as_json:
        print_json(document(alert, now))
    else:
        say(f"{plain(alert.key, 300)}: {state(alert, now)}.")


def _me() -> str:
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"
