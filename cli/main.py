"""The entry point `sluice`: it knows each command's name and sentence, and imports it only when it runs.

`sluice --help` therefore answers at once, however heavy the packages behind the commands are. A package
brings its commands in a module `commands.py`, as functions or typer applications, mounted in `COMMANDS`.
"""

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from kit.errors import Bug, ExitCode, SluiceError, problem

MARKUP: Final = "markdown"
"""How docstrings of commands are drawn: paragraphs flow to the width of the terminal."""


class Lazy(NamedTuple):
    """A command that is imported when it is asked for: `module:attribute`, and its sentence for --help.

    A group may be put together from several packages: the members of the applications `more` join it.
    """

    target: str
    sentence: str
    more: tuple[str, ...] = ()


COMMANDS: Final[dict[str, Lazy]] = {
    "data": Lazy("training.commands:data", "Fetch the corpus, check it, describe it."),
    "features": Lazy("feature_repo.commands:features", "Apply, fill and look up sender features."),
    "pipeline": Lazy("pipelines.commands:pipeline", "Train: run the pipeline here or on a cluster."),
    "model": Lazy(
        "training.model_commands:model",
        "List, show, compare, promote and roll back model versions.",
        more=("serving.model_commands:model",),
    ),
    "up": Lazy("serving.commands:up", "Serve on this machine what the aliases point at."),
    "down": Lazy("serving.commands:down", "End everything that serves on this machine."),
    "status": Lazy("serving.commands:status", "Tell which versions answer, and what each process does."),
    "logs": Lazy("serving.commands:logs", "Print the log of a process."),
    "predict": Lazy("serving.predict_command:predict", "Ask what serves here for a verdict on e-mails."),
    "feedback": Lazy("gateway.feedback_command:feedback", "Tell the gateway what a message really was."),
    "batch": Lazy("serving.batch_commands:batch", "Score many rows at once, on all CPUs or a cluster."),
    "gateway": Lazy("gateway.commands:gateway", "Run the gateway, and print what it offers."),
    "keys": Lazy("gateway.access.commands:keys", "Make, list, revoke and rotate the keys of the gateway."),
    "drift": Lazy(
        "monitoring.commands:drift", "Compare traffic with what the model was made on, and judge its answers."
    ),
    "alerts": Lazy(
        "monitoring.alerts.commands:alerts",
        "See, acknowledge, mute and resolve what is wrong; test who is told.",
        more=("monitoring.delivery.commands:alerts",),
    ),
    "monitoring": Lazy(
        "monitoring.process_commands:monitoring", "Run the console, the receiver, and the jobs by the clock."
    ),
    "records": Lazy("records.commands:records", "Migrate and inspect the platform's memory."),
    "demo": Lazy("cli.demo.command:demo", "Run the main job from nothing to the end."),
    "doctor": Lazy("cli.doctor:doctor", "Tell what this machine can do, and how to get what is missing."),
    "bench": Lazy("cli.bench:bench", "Measure speed against peers in one run."),
}


class LazyGroup(TyperGroup):
    """A group that lists stand-ins, and imports the real command when one is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Returns the called command, imported now, with what is left of `args`.

        Logs are set up here, before any command can write one: they go to standard error, so that standard
        output holds results only.
        """
        name, _, rest = super().resolve_command(ctx, args)
        from kit import logs
        from kit.home import HomeSettings

        logs.configure(level=HomeSettings.load().log_level)
        return name, load(str(name)), rest


def load(name: str) -> Any:
    """Imports and returns the click command `name` of `COMMANDS`."""
    lazy = COMMANDS[name]
    target = _imported(lazy.target)
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name)(target)
        target = app
    command: Any = typer.main.get_command(target)
    command.name = name
    for further in lazy.more:
        members = typer.main.get_group(_imported(further)).commands
        if twice := sorted(members.keys() & command.commands.keys()):
            raise Bug(f"{further} brings `sluice {name} {twice[0]}`, which is there already.")
        command.commands.update(members)
    _render_as_markdown(command)
    return command


def _imported(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _render_as_markdown(command: Any) -> None:
    command.rich_markup_mode = MARKUP
    for member in getattr(command, "commands", {}).values():
        _render_as_markdown(member)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a gate. "
    "State lives under SLUICE_HOME (.sluice).",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"sluice {version('sluice')}\n")
        raise typer.Exit


@app.callback()
def root(
    _version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Sluice: train, serve and watch a model; what runs on a laptop is what runs on the cluster."""


def _stand_in() -> None:
    raise Bug("A stand-in of the command list was called.")


for _name, _lazy in COMMANDS.items():
    app.command(_name, help=_lazy.sentence)(_stand_in)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and leaves with its exit code; reads `sys.argv` unless `arguments` are given."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words, prog_name="sluice")
    except SluiceError as error:
        _tell(error, as_json="--json" in words)
        sys.exit(error.exit_code)
    sys.exit(ExitCode.DONE)


def _tell(error: SluiceError, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(problem(error), ensure_ascii=False, indent=2) + "\n")
        return
    reasons = getattr(error, "reasons", ())
    lines = [f"{error.title}: {error.message}", *(f"  - {reason}" for reason in reasons)]
    if error.next_step is not None:
        lines.append(f"Next: {error.next_step}")
    sys.stderr.write("\n".join(lines) + "\n")
