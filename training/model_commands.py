"""`sluice model`: what is in the registry, and how two versions differ."""

from typing import Annotated, Any

import typer

from training.workloads import CHOICES, DEFAULT

model = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
WorkloadOption = Annotated[str, typer.Option("--workload", metavar="NAME", help=f"Whose model: {CHOICES}.")]
Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="A version number, or staging, or production.")
]


@model.callback()
def root() -> None:
    """List, show, compare, promote and roll back model versions."""


@model.command(name="list", epilog="Examples: sluice model list · sluice model list --workload NAME --json")
def list_versions(workload: WorkloadOption = DEFAULT, as_json: AsJson = False) -> None:
    """List the versions of a model, newest first: standing, aliases, figures, and why it was refused."""
    from kit.home import home
    from kit.terminal import print_json, print_table
    from training.model_descriptions import listed, opened

    found = listed(opened(home()), workload)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each["version"],
            each["standing"],
            ", ".join(each["aliases"]),
            _told(each["figures"].get("mean_f1")),
            _told(each["figures"].get("mean_roc_auc")),
            each["created_at"],
            each["reasons"][0] if each["standing"] == "refused" and each["reasons"] else "",
        )
        for each in found
    ]
    columns = ("version", "standing", "aliases", "F1", "AUC", "made", "why not")
    print_table(f"Versions of {workload}", columns, rows)


@model.command(epilog="Examples: sluice model show 3 · sluice model show staging --json")
def show(version: Version, workload: WorkloadOption = DEFAULT, as_json: AsJson = False) -> None:
    """Show one version: what the gate said, figures, parameters, data, features, files.

    The bundle is fetched from the registry and every byte of it is checked.
    """
    from kit.home import home
    from kit.terminal import print_json, print_table
    from training.model_descriptions import described, opened

    found = described(opened(home()), workload, version)
    if as_json:
        print_json(found)
        return
    for part in ("about", "figures", "parameters", "data", "certificate", "files"):
        rows = [(name, _told(value)) for name, value in found[part].items()]
        print_table(part.capitalize(), ("what", "value"), rows)
    print_table("The gate said", ("reason",), [(reason,) for reason in found["reasons"]])


@model.command(epilog="Examples: sluice model diff 2 3 · sluice model diff production staging --json")
def diff(
    first: Version, second: Version, workload: WorkloadOption = DEFAULT, as_json: AsJson = False
) -> None:
    """Compare two versions side by side: figures, parameters, data, features.

    Figures are all shown, with their difference; of the rest only what differs.
    """
    from kit.home import home
    from kit.terminal import print_json, print_table
    from training.model_descriptions import differences, opened

    found = differences(opened(home()), workload, first, second)
    if as_json:
        print_json(found)
        return
    versions = (str(found["first"]), str(found["second"]))
    figures = [
        (each["name"], _told(each["first"]), _told(each["second"]), _signed(each["difference"]))
        for each in found["figures"]
    ]
    print_table("Figures", ("figure", *versions, "difference"), figures)
    for part in ("parameters", "data"):
        rows = [(each["name"], _told(each["first"]), _told(each["second"])) for each in found[part]]
        print_table(f"{part.capitalize()} that differ", ("what", *versions), rows)
    gone, new = found["features"]["only_first"], found["features"]["only_second"]
    rows = [("only there", _some(gone), _some(new)), ("in both", found["features"]["shared"], "")]
    print_table("Features", ("what", *versions), rows)


def _told(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def _some(names: list[str]) -> str:
    most = 12
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
