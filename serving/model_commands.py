"""`sluice model promote`, `rollback` and `manifests`: which version serves where."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.environments import Environment
from contracts.workloads import DEFAULT

if TYPE_CHECKING:
    from serving.promotion.journal import Move
    from serving.promotion.preview import Preview
    from serving.promotion.promotion import Outcome

model = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Workload = Annotated[str, typer.Option("--workload", metavar="NAME", help="Whose model.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the ledger.")]
Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="A version number, or staging, or production.")
]


@model.callback()
def root() -> None:
    """Promote, roll back, and write the manifests of a cluster."""


@model.command(
    epilog="Examples: sluice model promote 3 --to staging --reason 'fewer false positives' · "
    "sluice model promote staging --to production --reason 'a week in staging' --yes"
)
def promote(
    version: Version,
    to: Annotated[Environment, typer.Option("--to", help="Where it is to serve.")],
    reason: Reason,
    yes: Yes = False,
    workload: Workload = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a version serve in an environment, without losing a request.

    The gate must have accepted it. First you see which verdicts change on the test split and among the last
    recorded predictions. Then the version is loaded beside the one that serves and asked for golden rows;
    requests move; the ledger and the alias follow. If anything fails, the former version serves again.
    """
    from serving.promotion import promotion

    _moved(promotion.promote, workload, to, version, reason=reason, yes=yes, as_json=as_json)


@model.command(
    epilog="Examples: sluice model rollback --in production --reason 'complaints since noon' --yes · "
    "sluice model rollback --in production --version 2 --reason 'the last good one'"
)
def rollback(
    where: Annotated[Environment, typer.Option("--in", help="Where the former version is to serve again.")],
    reason: Reason,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="Another version than the ledger's former one."),
    ] = None,
    yes: Yes = False,
    workload: Workload = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make the version serve again that served before, by the ledger.

    It goes through the same steps as a promotion; a second rollback goes one version further back. With --yes
    it does not stop for a preview.
    """
    from serving.promotion import promotion

    _moved(promotion.rollback, workload, where, version, reason=reason, yes=yes, as_json=as_json)


@model.command(
    epilog="Examples: sluice model manifests 3 --to staging · "
    "sluice model manifests staging --to production --upload > production.yaml"
)
def manifests(
    version: Version,
    to: Annotated[Environment, typer.Option("--to", help="Where it is to serve.")],
    upload: Annotated[
        bool, typer.Option("--upload", help="Also write what the manifest names into the store.")
    ] = False,
    workload: Workload = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Print the InferenceService of a version as YAML, for who keeps manifests in Git.

    Nothing is applied, and neither ledger nor alias moves. The settings DEPLOYMENT_… say what it is made of.
    """
    import sys

    import yaml

    from kit.home import home
    from kit.terminal import print_json
    from records import model_registry
    from records.bundles import fetched
    from serving.deployers import kserve
    from serving.deployers.settings import DeploymentSettings
    from serving.promotion.promotion import found, require_eligible

    settings = DeploymentSettings.load()
    folders = home()
    registry = model_registry.opened(folders)
    wanted = found(registry, workload, version)
    require_eligible(wanted, to)
    at = kserve.target(workload, to)
    bundles = {wanted.version: fetched(registry, folders, workload, wanted.version)}
    manifest = kserve.manifest_of(at, bundles, wanted.version, settings)
    if upload:
        kserve.upload(bundles, wanted.version if at.transformed else None, settings)
    if as_json:
        print_json(manifest)
        return
    yaml.safe_dump(manifest, sys.stdout, sort_keys=False)


def _moved(
    act: Any,
    workload: str,
    environment: Environment,
    which: str | None,
    *,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    from kit.home import home
    from kit.terminal import print_json, say
    from records.tables.model_deployments import Action
    from serving.promotion.preview import preview
    from serving.promotion.promotion import Request, actor
    from serving.promotion.tables import print_preview, tell_step
    from serving.promotion.tools import opened

    _require_a_person_or(yes)
    tools = opened(home())
    seen: list[Preview] = []

    def ask(move: "Move") -> None:
        if yes and move.action is Action.ROLLBACK:
            return
        seen.append(preview(tools, move))
        if not as_json:
            print_preview(move, seen[0])
        if not yes:
            _confirm(move)

    request = Request(actor=actor(), reason=reason, ask=ask, told=tell_step)
    outcome: Outcome = act(tools, workload, environment, which, request)
    if as_json:
        print_json(_document(outcome, seen[0] if seen else None))
        return
    for sentence in (outcome.recovered, outcome.sentence, outcome.warning):
        if sentence:
            say(sentence)


def _require_a_person_or(yes: bool) -> None:
    import sys

    from kit.errors import UsageError

    if not yes and not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to confirm on.", next_step="Say --yes to go ahead without a question."
        )


def _confirm(move: "Move") -> None:
    from serving.promotion.promotion import NotConfirmed

    before = f" in the place of version {move.former}" if move.former else ""
    if not typer.confirm(f"Serve version {move.version}{before} in {move.environment}?", err=True):
        raise NotConfirmed("Nothing was changed.")


def _document(outcome: "Outcome", preview: "Preview | None") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(outcome) | {"preview": preview.model_dump(mode="json") if preview else None}
