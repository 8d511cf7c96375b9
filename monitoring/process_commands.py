"""`sluice monitoring`: the process of console, receiver and the jobs by the clock; and its checks, once."""

import asyncio
from typing import Any

import typer

from kit.errors import ExitCode

monitoring = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run the console, the receiver, and the jobs by the clock.",
)


@monitoring.command()
def run() -> None:
    """Serve the console and the receiver, and run the jobs by the clock, until it is told to stop.

    Drift every MONITORING_DRIFT_EVERY, the ingest of features, messages that are due, and checks of the
    gateway. `sluice up` runs it on one machine; `python -m monitoring` is the same. It listens on
    MONITORING_HOST and MONITORING_PORT; where MONITORING_SCHEDULE is false, CronJobs run the jobs.
    """
    from monitoring.server import serve

    serve()


@monitoring.command()
def check(as_json: bool = typer.Option(False, "--json", help="Print the result as JSON.")) -> None:
    """Look once at lost predictions, failing models and stale features; what is found becomes alerts.

    It goes on from where the last look ended, as the process does by the clock. The exit code is 1 if the
    gateway's own figures could not be read.
    """
    from kit.terminal import print_json, print_table, say

    checked = asyncio.run(_checked())
    if as_json:
        print_json(checked.model_dump(mode="json"))
    else:
        rows = [
            (
                each.severity or "quiet",
                each.kind,
                each.family,
                f"{each.model} in {each.environment}",
                each.change or "",
                each.summary,
            )
            for each in checked.said
        ]
        if rows:
            print_table("Checks", ("severity", "kind", "family", "of", "alert", "what"), rows)
        else:
            say("Nothing is amiss since the last look, or there were too few requests to judge by.")
        for key in checked.open:
            say(f"Open: sluice alerts show {key}")
        if checked.gateway is None:
            say("No gateway is known here: sluice up, or set MONITORING_GATEWAY_URL.")
        if checked.unread is not None:
            say(checked.unread)
    if checked.unread is not None:
        raise typer.Exit(ExitCode.FAILED)


async def _checked() -> Any:
    from datetime import UTC, datetime

    from kit.home import home
    from monitoring.checks import run as checks
    from monitoring.measures import Measures
    from monitoring.parts import Parts
    from monitoring.settings import MonitoringSettings
    from records.engine import opened

    async with opened() as records:
        parts = Parts(MonitoringSettings.load(), home(), records, Measures())
        return await checks.run(parts, now=datetime.now(UTC))
