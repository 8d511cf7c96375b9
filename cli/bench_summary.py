"""The parts of docs/benchmarks.md that tell of all measurements: what each is, and one table of figures."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
METHOD: Final = "method"
ALL: Final = "all"
_PART: Final = re.compile(r"<!-- bench:([a-z-]+) -->\n(.*?)<!-- /bench:\1 -->", re.DOTALL)
_DAY: Final = re.compile(r"^Measured by `sluice bench [a-z-]+` on ([^:]+):", re.MULTILINE)
_HEAD: Final = "| figure | value | aim | against | note |"


def method(measurements: Mapping[str, str]) -> str:
    """Returns what each measurement is, from the first line of its docstring; nothing is imported."""
    rows = [
        f"| `{name}` | {_sentence(target)} | `{_file(target)}` |" for name, target in measurements.items()
    ]
    return "\n".join(["| measurement | what it gives | code |", "| --- | --- | --- |", *rows]) + "\n"


def overview(page: str, measurements: Mapping[str, str]) -> str:
    """Returns one table of the figures that the parts of `page` hold, and which measurements it lacks."""
    rows = []
    seen = set()
    for name, part in _PART.findall(page):
        day = _DAY.search(part)
        if name not in measurements or day is None or _HEAD not in part:
            continue
        seen.add(name)
        lines = part.partition(_HEAD)[2].strip().splitlines()[1:]
        for line in lines:
            if not line.startswith("|"):
                break
            figure, value, aim, against, _ = (cell.strip() for cell in line.strip("|").rsplit("|", 4))
            rows.append(f"| `{name}` | {figure} | {value} | {aim} | {against} | {day.group(1)} |")
    table = [
        "| measurement | figure | value | aim | against | measured |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lacking = ", ".join(f"`{name}`" for name in measurements if name not in seen)
    told = [f"\nNot measured for this page yet: {lacking}."] if lacking else []
    return "\n".join([*table, *rows, *told]) + "\n"


def _sentence(target: str) -> str:
    """Returns the first line of the docstring of `module:function`, read from its source."""
    function = target.partition(":")[2]
    for node in ast.walk(ast.parse((ROOT / _file(target)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            first = (ast.get_docstring(node) or "").partition("\n\n")[0]
            return " ".join(first.split()).replace("|", "\\|").removeprefix("Returns ")
    raise LookupError(f"{target} is no function of this repository.")


def _file(target: str) -> str:
    return target.partition(":")[0].replace(".", "/") + ".py"
