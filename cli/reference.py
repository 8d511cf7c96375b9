"""The reference pages that are made from the code: every setting and every command.

`make docs` writes them; a test fails when a page is older than the code.
"""

import importlib
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

import typer
from pydantic_core import PydanticUndefined, to_json

from cli.main import COMMANDS, app, load
from kit.files import write_text
from kit.settings import FILE_SUFFIX, Settings

FOLDER: Final = Path(__file__).parent.parent / "docs" / "reference"

SETTINGS: Final = (
    "kit.home:HomeSettings",
    "kit.ray.settings:RayJobsSettings",
    "records.settings:RecordsSettings",
    "feature_repo.settings:FeatureRepoSettings",
    "training.settings:TrainingSettings",
    "serving.settings:ServingSettings",
    "serving.deployers.settings:DeploymentSettings",
    "serving.transformer.settings:TransformerSettings",
    "gateway.settings:GatewaySettings",
    "monitoring.settings:MonitoringSettings",
    "pipelines.settings:PipelinesSettings",
)


def settings_classes() -> list[type[Settings]]:
    """Imports and returns every settings class, from the bottom of the house to the top."""
    classes = []
    for target in SETTINGS:
        module, _, attribute = target.partition(":")
        classes.append(getattr(importlib.import_module(module), attribute))
    return classes


def settings_page(classes: Sequence[type[Settings]] = ()) -> str:
    """Returns the settings reference as Markdown, of every settings class unless some are given."""
    lines = [
        "# Settings",
        "",
        "Made from the code by `make docs`. A setting is an environment variable with a default.",
        f"A variable with `{FILE_SUFFIX}` at its end names a file that holds the value (mounted secrets).",
        "A variable with one of these prefixes that is not listed here is refused, with the nearest name.",
    ]
    for settings in classes or settings_classes():
        lines += ["", f"## {settings.owner}", "", _one_line(settings.__doc__), ""]
        lines += ["| variable | default | bounds | what it does |", "| --- | --- | --- | --- |"]
        for name, field in settings.model_fields.items():
            value = field.get_default(call_default_factory=True)
            default = "required" if value is PydanticUndefined else _shown(value)
            bounds = ", ".join(_bounds(field.metadata)) or " "
            lines.append(
                f"| `{settings.variables()[name]}` | {default} | {bounds} | {_one_line(field.description)} |"
            )
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Returns the command reference as Markdown."""
    lines = [
        "# Commands",
        "",
        "Made from the code by `make docs`; `sluice COMMAND --help` tells the same.",
        "",
    ]
    root = typer.main.get_command(app)
    lines += [str(root.help), "", "| command | what it does |", "| --- | --- |"]
    lines += [f"| `sluice {name}` | {lazy.sentence} |" for name, lazy in COMMANDS.items()]
    for name in COMMANDS:
        for path, command in _walk(f"sluice {name}", load(name)):
            lines += ["", f"## {path}", "", *_help_of(command)]
            rows = [row for parameter in command.params if (row := _row(parameter)) is not None]
            if rows:
                lines += ["", "| argument | default | what it does |", "| --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


PAGES: Final = {"settings.md": settings_page, "commands.md": commands_page}


def write_pages() -> None:
    """Writes every page into docs/reference, and the table of differences."""
    from cli.differences import page as differences

    for name, page in PAGES.items():
        write_text(FOLDER / name, page())
    differences.write()


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    members = getattr(command, "commands", None)
    if not members:
        yield path, command
        return
    for name, member in members.items():
        yield from _walk(f"{path} {name}", member)


def _help_of(command: Any) -> list[str]:
    text = (command.help or "").replace("\b\n", "").strip()
    return [line.rstrip() for line in text.splitlines()]


def _row(parameter: Any) -> str | None:
    if parameter.name == "help" or getattr(parameter, "hidden", False):
        return None
    shown = ", ".join(parameter.opts + parameter.secondary_opts)
    if parameter.param_type_name == "argument":
        shown = str(parameter.metavar or parameter.name).upper()
    default = "required" if parameter.required else _shown(parameter.default)
    return f"| `{shown}` | {default} | {_one_line(getattr(parameter, 'help', None))} |"


def _shown(value: Any) -> str:
    if value is None or value is False or value in ((), [], {}):
        return " "
    if "SecretStr" in type(value).__name__:
        return "`…`"
    if isinstance(value, Enum):
        value = value.value
    if value is True or isinstance(value, (tuple, list, dict, set, frozenset)):
        value = to_json(value).decode()  # as it is written into a variable
    return f"`{value}`"


def _bounds(metadata: list[Any]) -> Iterator[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "pattern": "matches"}
    for item in metadata:
        for attribute, sign in signs.items():
            bound = getattr(item, attribute, None)
            if bound is not None:
                text = f"{sign} {bound}".replace("|", "\\|")
                yield f"`{text}`" if attribute == "pattern" else text


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    write_pages()
