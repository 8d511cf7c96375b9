"""`sluice alerts`: who was told and who was not; try a channel, send again, send what is due."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from kit.errors import ExitCode, UsageError

alerts = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class SeverityOption(StrEnum):
    """How grave a test looks: `records.tables.monitoring_alerts.Severity`, which is too heavy for --help."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@alerts.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in MONITORING_CHANNELS.")],
    severity: Annotated[
        SeverityOption, typer.Option("--severity", help="How grave it looks: info, warning or critical.")
    ] = SeverityOption.INFO,
    as_json: AsJson = False,
) -> None:
    """Send a test message to a channel, by the very path of an alert, and tell what it answered.

    It is tried once. The exit code is 1 if it did not arrive. On PagerDuty it opens an incident, which you
    resolve there; in Alertmanager an alert, which ends by itself after five minutes.

    `sluice alerts test on-call`
    """
    from datetime import UTC, datetime

    from kit.home import home
    from kit.terminal import print_json, say
    from monitoring.delivery.tables import answer, document
    from monitoring.delivery.trial import channel_of, tried
    from monitoring.settings import MonitoringSettings
    from records.engine import opened
    from records.tables.monitoring_alerts import Severity
    from records.tables.webhook_deliveries import DeliveryStatus

    settings = MonitoringSettings.load()
    tested = channel_of(settings, channel)

    async def send() -> Any:
        async with opened() as records:
            now = datetime.now(UTC)
            return await tried(records, settings, home(), tested, severity=Severity(severity.value), now=now)

    delivery = asyncio.run(send())
    arrived = delivery.status == DeliveryStatus.DELIVERED
    if as_json:
        print_json(document(delivery))
    else:
        outcome = "arrived" if arrived else "did not arrive"
        said = answer(delivery) or "another sender has it, and is not done yet"
        say(f"The test message to {channel} ({tested.format}) {outcome}: {said}.")
        say(f"Delivery {delivery.id}, status {delivery.status}, attempts {delivery.attempts}.")
    if not arrived:
        raise typer.Exit(ExitCode.FAILED)


@alerts.command("deliveries")
def list_deliveries(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the messages to channels, newest first: delivered, waiting, given up, and why. Times are UTC.

    Examples: `sluice alerts deliveries`, `sluice alerts deliveries --dead --json`
    """
    from kit.terminal import print_json, say
    from monitoring.delivery.tables import document, print_deliveries
    from records.engine import opened
    from records.repositories import deliveries

    async def read() -> Any:
        async with opened() as records, records.reading() as session:
            return await (deliveries.dead_letters if dead else deliveries.latest)(session, limit=limit)

    found = asyncio.run(read())
    if as_json:
        print_json([document(each) for each in found])
        return
    print_deliveries(found)
    if dead and found:
        say("Next: mend the channel, then `sluice alerts resend ID` or `sluice alerts resend --all-dead`.")


@alerts.command()
def resend(
    which: Annotated[
        str | None, typer.Argument(metavar="ID", help="A dead letter of `sluice alerts deliveries --dead`.")
    ] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All of them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue dead letters again; the sender delivers them. What is out of date by now is left alone.

    Examples: `sluice alerts resend --all-dead`, `sluice alerts resend 0199f2c3-5d1e-7000-8000-000000000000`
    """
    from datetime import UTC, datetime

    from kit.terminal import print_json, say
    from records.engine import opened
    from records.repositories import deliveries

    if (which is None) is not all_dead:
        raise UsageError("Name one dead letter, or all.", next_step="Give its ID, or --all-dead.")
    delivery_id = _uuid(which) if which is not None else None

    async def write() -> int:
        async with opened() as records, records.transaction() as session:
            if delivery_id is None:
                return await deliveries.resend_all(session, now=datetime.now(UTC))
            await deliveries.resend(session, delivery_id, now=datetime.now(UTC))
            return 1

    queued = asyncio.run(write())
    if as_json:
        print_json({"queued": queued})
    else:
        say(f"Queued again: {queued}. `sluice alerts deliver` sends what is due, if no sender runs.")


@alerts.command()
def deliver(as_json: AsJson = False) -> None:
    """Send what is due, once to each channel that answers, and end; for a CronJob, or by hand.

    `sluice monitoring run` does so by the clock. Both at once are safe.

    `sluice alerts deliver --json`
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from kit.terminal import print_json, say
    from monitoring.delivery.sender import send_due
    from monitoring.delivery.trial import GUIDE
    from monitoring.settings import MonitoringSettings
    from records.engine import opened

    settings = MonitoringSettings.load()
    if not settings.channels:
        # What waits would count as sent to channels that are gone.
        raise UsageError("No channel is configured.", next_step=f"Set MONITORING_CHANNELS; {GUIDE} says how.")

    async def send() -> Any:
        async with opened() as records:
            return await send_due(records, settings, now=datetime.now(UTC))

    sent = asyncio.run(send())
    if as_json:
        print_json(asdict(sent))
    else:
        say(f"Delivered: {sent.delivered}. To be tried again: {sent.again}. Given up: {sent.dead}.")


def _uuid(text: str) -> Any:
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no id of a delivery.", next_step="`sluice alerts deliveries --dead` lists them."
        ) from None
