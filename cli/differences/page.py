"""The table of differences as Markdown: the whole page, and the rows that stand in the README."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cli.differences.alike import ALIKE
from cli.differences.table import DIFFERENCES, Difference
from kit.files import write_text

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "laptop-and-cluster.md"
README: Final = ROOT / "README.md"
BEGIN: Final = "<!-- laptop-and-cluster -->"
END: Final = "<!-- /laptop-and-cluster -->"
_KINDS: Final = ("setting", "variable", "branch", "module", "kfp", "image", "program")

_FOREIGN: Final = ("variable MLFLOW_TRACKING", "variable RAY_ADDRESS")
"""Variables of neighbours that choose as our settings do."""
_INTRODUCTION: Final = """\
Made from the code by `make docs`. What runs on a laptop is what runs on the cluster; what is not the same
stands here, each behaviour once, with the setting or the place in the code that decides it. A test fails when
the code shows a sign of a new difference (a setting that chooses, a branch on an engine, a module named after
one, a variable set for another process, something asked of kfp, a program of `sluice up`) that nobody has
decided on: it belongs into this table, or into the list of what chooses and is the same.

The cluster's side is what settings, images and manifests of this repository say. Terraform, charts and Istio
are not in it yet."""


def page() -> str:
    """Returns docs/laptop-and-cluster.md."""
    lines = [
        "# One machine and a cluster",
        "",
        *_INTRODUCTION.splitlines(),
        "",
        "| behaviour | one machine | cluster | decided by |",
        "| --- | --- | --- | --- |",
        *(_row(each, _deciding(each)) for each in DIFFERENCES),
        "",
        "## What that means",
        "",
        *(f"- **{each.behaviour}**: {each.matters}." for each in DIFFERENCES if each.matters),
        "- **Conditions and loops of kfp** are used nowhere: the local runner has skipped one, and ended the",
        "  run well all the same. A gate is a task that fails.",
        "",
        "## What chooses and is the same",
        "",
        *(f"- {reason} {_told(signs)}" for reason, signs in ALIKE.items()),
    ]
    return "\n".join(lines) + "\n"


def in_readme(text: str) -> str:
    """Returns the README's `text` with the table between its marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md has no part between {BEGIN} and {END}.")
    rows = [_row(each, "") for each in DIFFERENCES if each.in_readme]
    table = ["| behaviour | one machine | cluster |", "| --- | --- | --- |", *rows]
    return before + "\n".join([BEGIN, *table, END]) + after


def write() -> None:
    """Writes the page, and the part of the README."""
    write_text(PAGE, page())
    write_text(README, in_readme(README.read_text(encoding="utf-8")))


def _row(each: Difference, decided: str) -> str:
    cells = (each.behaviour, each.machine, each.cluster, *([decided] if decided else []))
    return f"| {' | '.join(cells)} |"


def _deciding(each: Difference) -> str:
    """Returns the settings and foreign variables of a row, or where there is none the places in the code."""
    chosen = [sign for sign in each.signs if sign.startswith(("setting ", *_FOREIGN))]
    return _told(chosen or each.signs)


def _told(signs: Sequence[str]) -> str:
    names = []
    for kind in _KINDS:
        for sign in (each for each in signs if each.startswith(f"{kind} ")):
            name = sign.removeprefix(f"{kind} ").partition(":")[0]
            names.append(f"`sluice up`'s {name}" if kind == "program" else f"`{name}`")
    return ", ".join(dict.fromkeys(names))
