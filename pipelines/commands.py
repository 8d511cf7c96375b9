"""`sluice pipeline`: run the training pipeline here, or hand it to Kubeflow Pipelines."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from training.workloads import DEFAULT, MODULES

pipeline = typer.Typer(no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
WorkloadOption = Annotated[
    str, typer.Option("--workload", metavar="NAME", help=f"What is trained: {', '.join(MODULES)}.")
]
Trials = Annotated[int, typer.Option("--trials", min=1, help="Points of the search space that are tried.")]
TimeBudget = Annotated[
    float | None,
    typer.Option("--time-budget", min=1, metavar="SECONDS", help="Longest search; the best so far is taken."),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes of the final fit.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the split, the search and the fit.")]


class TriggerOption(StrEnum):
    """What started a run: `records.tables.experiment_runs.Trigger`, which is too heavy for --help."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    DRIFT = "drift"


@pipeline.callback()
def root() -> None:
    """Run the training pipeline here, or hand it to Kubeflow Pipelines."""


@pipeline.command(
    epilog="Examples: sluice pipeline run · sluice pipeline run --workload iris --trials 2 · "
    "sluice pipeline run --from-step evaluate. Exit code 3 means refused: the reasons are printed."
)
def run(
    workload: WorkloadOption = DEFAULT,
    trials: Trials = 20,
    time_budget: TimeBudget = None,
    workers: Workers = 1,
    seed: Seed = 0,
    from_step: Annotated[
        str | None,
        typer.Option(
            "--from-step",
            metavar="STEP",
            help="Begin here, and take what earlier steps wrote before for the same data and options: load, "
            "validate, features, search, fit, evaluate, export, register, gate or stage.",
        ),
    ] = None,
    trigger: Annotated[
        TriggerOption, typer.Option("--trigger", help="What started this run: manual, schedule or drift.")
    ] = TriggerOption.MANUAL,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, where a machine starts the run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on this machine: from data to a certified version in staging, or a refusal.

    Ten steps, each in a process of its own: load, validate, features, search, fit, evaluate, export,
    register, gate, stage. Logs and outputs are in SLUICE_HOME/runs/RUN. Ctrl-C stops everything that was
    started.
    """
    from kit.errors import UsageError
    from kit.home import home
    from kit.terminal import print_json
    from pipelines.local_run import Request, run_pipeline
    from pipelines.progress import Display, silent
    from records.tables.experiment_runs import Trigger
    from training.steps.step import ORDER

    if from_step is not None and from_step not in ORDER:
        raise UsageError(f"There is no step {from_step}: choose from {', '.join(ORDER)}.")
    request = Request(
        workload=workload,
        trials=trials,
        seed=seed,
        workers=workers,
        time_budget_seconds=time_budget,
        from_step=from_step,
        trigger=Trigger(trigger.value),
        trigger_reason=reason,
    )
    with silent() if as_json else Display() as display:
        summary = run_pipeline(home(), request, display)
    if as_json:
        print_json(summary)
    else:
        _print_summary(summary)


@pipeline.command(
    name="list", epilog="Examples: sluice pipeline list · sluice pipeline list --limit 5 --json"
)
def list_runs(
    workload: Annotated[
        str | None, typer.Option("--workload", metavar="NAME", help="Only runs of this workload.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List recent runs, newest first: status, figures, model version, and why not."""
    from kit.terminal import print_json, print_table
    from pipelines.runs import recent_runs

    found = recent_runs(workload=workload, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each["run"],
            each["workload"],
            each["status"],
            each["version"] or "",
            _figure(each["figures"], "f1"),
            _figure(each["figures"], "roc_auc"),
            each["seconds"] if each["seconds"] is not None else "",
            "; ".join(each["reasons"][:1]),
        )
        for each in found
    ]
    columns = ("run", "workload", "status", "version", "F1", "AUC", "seconds", "why")
    print_table("Pipeline runs", columns, rows)


def _figure(figures: dict[str, Any], name: str) -> str:
    value = figures.get(name, figures.get(f"mean_{name}"))
    return "" if value is None else f"{value:.4f}"


def _print_summary(summary: dict[str, Any]) -> None:
    from kit.terminal import print_table

    rows = [(name, value) for name, value in summary["figures"].items()]
    rows += [(name, place) for name, place in summary["links"].items()]
    title = f"{summary['workload']}: version {summary['version']} is in staging"
    print_table(title, ("what", "value"), rows)
