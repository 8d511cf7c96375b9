"""`sluice pipeline`: run the training pipeline here, or hand it to Kubeflow Pipelines."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from kit.ray.remote_command import RayJobs, RayVariables, leave_with_the_head
from training.workloads import DEFAULT, MODULES

pipeline = typer.Typer(no_args_is_help=True, add_completion=False)

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
EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help="Of Kubeflow Pipelines [PIPELINES_ENDPOINT]."),
]
ExperimentOption = Annotated[
    str | None,
    typer.Option("--experiment", metavar="NAME", help="It is made if need be [PIPELINES_EXPERIMENT]."),
]


class TriggerOption(StrEnum):
    """What started a run: `records.tables.experiment_runs.Trigger`, which is too heavy for --help."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    DRIFT = "drift"


TriggeredBy = Annotated[
    TriggerOption, typer.Option("--trigger", help="What started this run: manual, schedule or drift.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why, where a machine starts the run.")]
Announced = Annotated[
    UUID | None,
    typer.Option(
        "--announced",
        metavar="ID",
        help="The row of the records that whoever starts this run wrote for it; the run takes it over.",
    ),
]


@pipeline.callback()
def root() -> None:
    """Run the training pipeline here, or hand it to Kubeflow Pipelines."""


@pipeline.command(
    epilog="Examples: sluice pipeline run · sluice pipeline run --workload NAME --trials 2 · "
    "sluice pipeline run --from-step evaluate. Exit code 3 means refused: the reasons are printed."
)
def run(
    context: typer.Context,
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
    trigger: TriggeredBy = TriggerOption.MANUAL,
    reason: ReasonOption = None,
    announced: Announced = None,
    ray_jobs: RayJobs = None,
    ray_variable: RayVariables = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on this machine: from data to a certified version in staging, or a refusal.

    Ten steps, each in a process of its own: load, validate, features, search, fit, evaluate, export,
    register, gate, stage. Logs and outputs are in SLUICE_HOME/runs/RUN. Ctrl-C stops everything that was
    started. With `--ray-jobs` all of this happens on the head of a Ray cluster, and search and fit use all of
    its nodes.
    """
    from kit.errors import UsageError
    from kit.home import home
    from kit.terminal import print_json
    from pipelines.local_run import run_pipeline
    from pipelines.progress import Display, silent
    from pipelines.request import Request
    from records.tables.experiment_runs import Trigger
    from training.steps.step import ORDER

    if from_step is not None and from_step not in ORDER:
        raise UsageError(f"There is no step {from_step}: choose from {', '.join(ORDER)}.")
    if ray_jobs is not None:
        leave_with_the_head(context, ray_jobs, ray_variable, as_json=as_json)
    request = Request(
        workload=workload,
        trials=trials,
        seed=seed,
        workers=workers,
        time_budget_seconds=time_budget,
        from_step=from_step,
        trigger=Trigger(trigger.value),
        trigger_reason=reason,
        announced=announced,
    )
    with silent() if as_json else Display() as display:
        summary = run_pipeline(home(), request, display)
    if as_json:
        print_json(summary)
    else:
        _print_summary(summary)


@pipeline.command(name="compile", epilog="Example: sluice pipeline compile -o training.yaml")
def compile_pipeline(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the YAML goes.")],
    as_json: AsJson = False,
) -> None:
    """Compile the pipeline for Kubeflow Pipelines 2: what every task asks a cluster for is in the file.

    Image, volume and secret are settings: PIPELINES_IMAGE, PIPELINES_VOLUME_CLAIM, PIPELINES_SECRET.
    """
    from kit.files import sha256_of
    from kit.terminal import print_json, say
    from pipelines.compilation import compile_to
    from pipelines.settings import PipelinesSettings

    settings = PipelinesSettings.load()
    compile_to(output, settings)
    if as_json:
        print_json({"file": str(output), "sha256": sha256_of(output), "image": settings.image})
    else:
        say(f"The pipeline for {settings.image} is in {output}.")


@pipeline.command(
    epilog="Examples: sluice pipeline submit --endpoint https://kubeflow.example.org/pipeline --wait · "
    "PIPELINES_TOKEN_FILE=token sluice pipeline submit --workload NAME --trials 5"
)
def submit(
    workload: WorkloadOption = DEFAULT,
    trials: Trials = 20,
    time_budget: TimeBudget = None,
    workers: Workers = 1,
    seed: Seed = 0,
    endpoint: EndpointOption = None,
    experiment: ExperimentOption = None,
    trigger: TriggeredBy = TriggerOption.MANUAL,
    reason: ReasonOption = None,
    announced: Announced = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the run has ended.")] = False,
    wait_seconds: Annotated[
        float | None, typer.Option("--wait-seconds", min=0, help="Longest stay with --wait.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a run to Kubeflow Pipelines, in the experiment of the settings.

    The token is a setting, so that it stands in no shell history: PIPELINES_TOKEN, or PIPELINES_TOKEN_FILE.
    """
    from kit.terminal import print_json, say
    from pipelines.compilation import documents
    from pipelines.endpoint import Endpoint

    settings = _endpoint_settings(endpoint, experiment)
    with Endpoint(settings) as remote:
        parameters = _parameters(workload, trials, time_budget, workers, seed)
        parameters |= _origin(trigger, reason, announced)
        made = remote.submit(f"{workload} {_now()}", documents(settings), parameters)
        if wait:
            if not as_json:
                say(f"Submitted as {made['id']}: {made['link']}")
            shown = (lambda _state: None) if as_json else say
            made = remote.wait(made["id"], on_state=shown, timeout_seconds=wait_seconds)
    if as_json:
        print_json(made | {"parameters": parameters})
    else:
        say(f"Run {made['id']} is {made['state']}: {made['link']}")


@pipeline.command(
    epilog="Example, every night at three (UTC; seconds come first): "
    'sluice pipeline schedule --cron "0 0 3 * * *" --endpoint https://kubeflow.example.org/pipeline'
)
def schedule(
    cron: Annotated[
        str,
        typer.Option("--cron", metavar="FIELDS", help="Six fields: second minute hour day month weekday."),
    ],
    workload: WorkloadOption = DEFAULT,
    trials: Trials = 20,
    time_budget: TimeBudget = None,
    workers: Workers = 1,
    seed: Seed = 0,
    endpoint: EndpointOption = None,
    experiment: ExperimentOption = None,
    as_json: AsJson = False,
) -> None:
    """Schedule runs on Kubeflow Pipelines; one at a time, and a missed time is not made up for."""
    from kit.errors import UsageError
    from kit.terminal import print_json, say
    from pipelines.compilation import documents
    from pipelines.endpoint import Endpoint

    fields = 6
    if len(cron.split()) != fields:
        raise UsageError(
            f"A schedule has six fields, and {cron!r} has {len(cron.split())}.",
            next_step="Seconds come first: 0 0 3 * * * is three in the morning, every day, UTC.",
        )
    settings = _endpoint_settings(endpoint, experiment)
    with Endpoint(settings) as remote:
        parameters = _parameters(workload, trials, time_budget, workers, seed)
        parameters |= _origin(TriggerOption.SCHEDULE, None, None)
        made = remote.schedule(f"{workload} {_now()}", cron, documents(settings), parameters)
    if as_json:
        print_json(made | {"parameters": parameters})
    else:
        say(f"Scheduled as {made['id']} at {cron!r}: {made['link']}")


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


def _endpoint_settings(endpoint: str | None, experiment: str | None) -> Any:
    from pipelines.settings import PipelinesSettings

    given = {"endpoint": endpoint, "experiment": experiment}
    return PipelinesSettings.load(**{name: value for name, value in given.items() if value is not None})


def _parameters(
    workload: str, trials: int, time_budget: float | None, workers: int, seed: int
) -> dict[str, Any]:
    from pipelines.request import Request
    from training import workloads
    from training.settings import TrainingSettings

    workloads.find(workload)
    request = Request(
        workload=workload, trials=trials, seed=seed, workers=workers, time_budget_seconds=time_budget
    )
    return request.arguments(TrainingSettings.load())


def _origin(trigger: TriggerOption, reason: str | None, announced: UUID | None) -> dict[str, str]:
    return {
        "trigger": trigger.value,
        "trigger_reason": reason or "",
        "announced": "" if announced is None else str(announced),
    }


def _now() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


def _figure(figures: dict[str, Any], name: str) -> str:
    value = figures.get(name, figures.get(f"mean_{name}"))
    return "" if value is None else f"{value:.4f}"


def _print_summary(summary: dict[str, Any]) -> None:
    from kit.terminal import print_table

    rows = [(name, value) for name, value in summary["figures"].items()]
    rows += [(name, place) for name, place in summary["links"].items()]
    title = f"{summary['workload']}: version {summary['version']} is in staging"
    print_table(title, ("what", "value"), rows)
