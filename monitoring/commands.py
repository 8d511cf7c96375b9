"""`sluice drift`: is what is asked today what the model was made on, and are its answers still good?"""

import asyncio
from typing import Any

import typer

from contracts.environments import Environment
from kit.errors import ExitCode, UsageError

drift = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Compare traffic with what the model was made on, by family of features.",
)

ENVIRONMENT = typer.Option(None, "--environment", "-e", help="Only this one: staging or production.")
WORKLOAD = typer.Option(None, "--workload", "-w", help="Only this model; all that answered unless named.")
JSON = typer.Option(False, "--json", help="Print the result as JSON.")


@drift.command()
def run(
    environment: Environment | None = ENVIRONMENT,
    workload: str | None = WORKLOAD,
    window: str | None = typer.Option(
        None, "--window", help="The last 30m, 24h or 7d; unless given, what came since the last run."
    ),
    rows: int | None = typer.Option(None, "--rows", min=1, help="The latest N predictions instead."),
    report: bool = typer.Option(False, "--report", help="Write the HTML report even if nothing drifted."),
    fail_on_drift: bool = typer.Option(
        False, "--fail-on-drift", help="Leave with 3 if a family drifted; for scripts."
    ),
    as_json: bool = JSON,
) -> None:
    """Compare the predictions of each version that answers with the reference in its bundle.

    Says for each family of features whether it drifted, in words, and writes an HTML report where one did.
    Figures by labels, and estimates without them, come along. Alerts are opened, counted and resolved by what
    was found. A window that overlaps a measured one is
    refused, and so is one with too few rows. The exit code is 0 when something was measured, drift or not.

    Examples: `sluice drift run`, `sluice drift run --environment production --window 24h`,
    `sluice drift run --rows 1000 --fail-on-drift --json`
    """
    from kit.terminal import print_json
    from monitoring.drift.windows import Asked
    from monitoring.durations import duration
    from monitoring.tables import print_outcome

    if window is not None and rows is not None:
        raise UsageError("--window and --rows exclude each other.", next_step="Give one of them, or neither.")
    asked = Asked(duration(window) if window else None, rows)
    outcome = asyncio.run(_run(asked, workload, environment, report=report))
    if as_json:
        print_json(_document(outcome))
    else:
        print_outcome(outcome)
    if not outcome.results:
        raise typer.Exit(max(error.exit_code for _, error in outcome.unmeasured))
    if fail_on_drift and any(result.drifted for result in outcome.results):
        raise typer.Exit(ExitCode.REFUSED)


@drift.command()
def report(
    environment: Environment | None = ENVIRONMENT,
    workload: str | None = WORKLOAD,
    show: bool = typer.Option(False, "--open", help="Open the pages in a browser."),
    as_json: bool = JSON,
) -> None:
    """Tell what the latest runs found, and where their HTML reports lie.

    `sluice drift report --environment production --open`
    """
    import webbrowser

    from kit.terminal import print_json
    from monitoring.tables import print_kept

    kept = asyncio.run(_latest(workload, environment))
    if as_json:
        print_json([row.model_dump(mode="json") for row in kept])
    else:
        print_kept(kept)
    if show:
        for path in dict.fromkeys(row.report for row in kept if row.report):
            webbrowser.open(path.as_uri())


async def _run(asked: Any, workload: str | None, environment: Environment | None, *, report: bool) -> Any:
    from kit.home import home
    from monitoring.drift import job
    from monitoring.settings import MonitoringSettings
    from records.engine import opened

    settings = MonitoringSettings.load(**({"report_when": "always"} if report else {}))
    async with opened() as records:
        return await job.run(records, home(), settings, asked=asked, model=workload, environment=environment)


async def _latest(workload: str | None, environment: Environment | None) -> Any:
    from monitoring.drift.latest import latest
    from records.engine import opened

    async with opened() as records:
        return await latest(records, model=workload, environment=environment)


def _document(outcome: Any) -> dict[str, Any]:
    from monitoring.alerts.tables import entry_document

    return {
        "results": [result.model_dump(mode="json") for result in outcome.results],
        "performance": [figures.model_dump(mode="json") for figures in outcome.performance],
        "not_measured": [
            {
                "model": served.model_name,
                "environment": served.environment.value,
                "version": served.model_version,
                "code": error.code,
                "message": error.message,
                "next_step": error.next_step,
            }
            for served, error in outcome.unmeasured
        ],
        "alerts": [entry_document(entry) for entry in outcome.alerts],
    }
