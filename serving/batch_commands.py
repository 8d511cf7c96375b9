"""`sluice batch`: score many rows at once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.environments import Environment
from contracts.workloads import DEFAULT
from kit.ray.remote_command import RayJobs, RayVariables, leave_with_the_head

batch = typer.Typer(no_args_is_help=True, add_completion=False)


@batch.callback()
def root() -> None:
    """Score many rows at once."""


@batch.command(
    epilog="Examples: sluice batch score mails/ scored/ · sluice batch score box.mbox scored/ --environment "
    "production · sluice batch score rows.parquet scored/ --version 3 --id-column sha256 --resume"
)
def score(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A Parquet file or a folder of them, an mbox, a folder of messages."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, for Parquet and a manifest.")],
    workload: Annotated[
        str, typer.Option("--workload", metavar="NAME", help="The model that scores.")
    ] = DEFAULT,
    version: Annotated[
        str | None, typer.Option("--version", metavar="V", help="Its version; or say --environment.")
    ] = None,
    environment: Annotated[
        Environment | None,
        typer.Option(
            "--environment",
            "--env",
            "-e",
            help="Take the version that is there: staging (if nothing is said) or production.",
        ),
    ] = None,
    id_column: Annotated[
        str,
        typer.Option("--id-column", metavar="NAME", help="The column of a Parquet input that names rows."),
    ] = "id",
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Look up what is known of the senders, as online.")
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what OUT holds of this very scoring.")
    ] = False,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, metavar="N", help="Processes; one for each CPU otherwise."),
    ] = None,
    ray_jobs: RayJobs = None,
    ray_variable: RayVariables = [],  # noqa: B006 - typer copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Score Parquet, an mbox or a folder of messages with a model version, on all CPUs or on a Ray cluster.

    OUT gets one Parquet file for each part of the input, in its order, with an answer or a problem for each
    row, and a manifest that says when it is finished. A run that was stopped or killed goes on with
    `--resume`. With RAY_ADDRESS the processes run on that cluster; there IN and OUT must be the same
    everywhere.
    """
    from feature_repo.settings import FeatureRepoSettings
    from kit.errors import UsageError
    from kit.home import home
    from kit.terminal import bar, print_json
    from records.bundles import fetched
    from records.model_registry import opened
    from serving.batch.run import Request
    from serving.batch.run import score as scored
    from serving.settings import ServingSettings

    if version is not None and environment is not None:
        raise UsageError("Say either --version or --environment.")
    if ray_jobs is not None:
        leave_with_the_head(context, ray_jobs, ray_variable, as_json=as_json)
    folders, serving = home(), ServingSettings.load()
    registry = opened(folders)
    number = version or _pointed(registry, workload, environment or Environment.STAGING)
    request = Request(
        path=path,
        out=out,
        model=workload,
        version=number,
        id_column=id_column,
        history=history,
        resume=resume,
        concurrency=concurrency,
    )
    with bar("Scoring") as advance:
        outcome = scored(
            folders,
            request,
            fetched(registry, folders, workload, number),
            serving=serving,
            reader=FeatureRepoSettings.load(),
            planned=advance.total,
            on_part=advance,
        )
    manifest = outcome.manifest
    told = {
        "output": str(out),
        "model": workload,
        "version": number,
        **manifest.counts,
        "parts": manifest.parts,
        "parts_done_before": outcome.parts_before,
        "history_at": manifest.history_at.isoformat() if manifest.history_at else None,
        "schema_digest": manifest.request["schema_digest"],
        "bundle_digest": manifest.request["bundle_digest"],
        "seconds": round(outcome.seconds, 3),
    }
    if as_json:
        print_json(told)
    else:
        _print(told)


def _pointed(registry: Any, workload: str, environment: Environment) -> str:
    from records.model_versions import VersionMissing

    found = registry.pointed(workload, environment)
    if found is None:
        raise VersionMissing(
            f"No version of {workload} is in {environment}.",
            next_step=f"Train one: sluice pipeline run --workload {workload}; or name one with --version.",
        )
    return str(found.version)


def _print(told: dict[str, Any]) -> None:
    from kit.terminal import print_table

    rows = [("rows", told["rows"]), ("scored", told["scored"])]
    rows += [(f"  {name}", count) for name, count in told["verdicts"].items()]
    rows += [(f"problem: {name}", count) for name, count in told["problems"].items()]
    rows += [
        ("senders with a history", told["known_senders"]),
        ("parts", f"{told['parts']}, {told['parts_done_before']} of them done before"),
        ("seconds", told["seconds"]),
        ("output", told["output"]),
    ]
    print_table(f"{told['model']} version {told['version']}", ("what", "value"), rows)
