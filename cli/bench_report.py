"""What `sluice bench` has found, for a terminal, for its file, and for the marked parts of the documents."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from cli import bench_summary
from kit.benchmark import Figure, Report, Table
from kit.errors import SluiceError, UsageError, problem
from kit.files import write_text
from kit.terminal import print_table, say

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
IN_README: Final = "gateway"
_LIBRARIES: Final = (
    "aiohttp", "fastapi", "kserve", "mlflow", "nvidia-pytriton", "onnxruntime", "uvicorn", "uvloop",
)  # fmt: skip
_PIN: Final = re.compile(r"^(mlserver|bentoml|ray)==([^ ;\\]+)", re.MULTILINE)


def machine() -> dict[str, Any]:
    """Returns what the figures were measured on: processor, cores, memory, system and versions."""
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of what is measured: of this environment, and of the peers' locks."""
    found = {name: metadata.version(name) for name in _LIBRARIES if _installed(name)}
    for lock in sorted((ROOT / "requirements").glob("peer-*.txt")):
        found |= dict(_PIN.findall(lock.read_text(encoding="utf-8")))
    return found


def document(measured: Mapping[str, Report], missing: Mapping[str, SluiceError]) -> dict[str, Any]:
    """Returns everything that was found."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": {
            name: [figure._asdict() for figure in report.figures] for name, report in measured.items()
        },
        "tables": {
            name: [table._asdict() for table in report.tables]
            for name, report in measured.items()
            if report.tables
        },
        "details": {name: report.details for name, report in measured.items() if report.details is not None},
        "not_measured": {name: problem(error) for name, error in missing.items()},
    }


def joined(former: Any, latest: dict[str, Any]) -> dict[str, Any]:
    """Returns `latest` with what `former` holds of other measurements, each with its own time and machine.

    Whoever measures one thing again loses none of the others; the figures of one name are never mixed.
    """
    told = {"measured_at": latest["measured_at"], "machine": latest["machine"]}
    whole = latest | {"runs": dict.fromkeys(latest["figures"], told)}
    for part in ("figures", "tables", "details", "runs"):
        kept = former.get(part, {}) if isinstance(former, dict) else {}
        whole[part] = {name: kept[name] for name in kept if name not in latest["figures"]} | whole[part]
    return whole


def show(measured: Mapping[str, Report], missing: Mapping[str, SluiceError]) -> None:
    """Prints it for people."""
    rows = [(name, *_cells(figure)) for name, report in measured.items() for figure in report.figures]
    print_table("Measured", ("what", *_FIGURE_COLUMNS), rows)
    for table in (table for report in measured.values() for table in report.tables):
        shown = [at for at, column in enumerate(table.columns) if column not in table.wordy]
        rows_shown = [[row[at] for at in shown] for row in table.rows]
        print_table(table.title, [table.columns[at] for at in shown], rows_shown)
        for note in table.notes:
            say(note)
    for name, error in missing.items():
        say(f"{name} was not measured: {error.message}")
        if error.next_step:
            say(f"Next: {error.next_step}")


def write(
    measured: Mapping[str, Report],
    missing: Mapping[str, SluiceError],
    on: Mapping[str, Any],
    targets: Mapping[str, str],
) -> None:
    """Writes what was measured into its marked parts of the documents; the other parts stay.

    A measurement that the page does not know yet gets a part at its end. What each of `targets` gives and the
    table of all figures are written anew.

    Raises:
        UsageError: the README has no part for the gateway.
    """
    page = PAGE.read_text(encoding="utf-8")
    for name, report in measured.items():
        if marks(name)[0] not in page:
            page += f"\n### {name.capitalize()}\n\n{marks(name)[0]}\n{marks(name)[1]}\n"
        page = replaced(page, name, markdown(name, report, missing, on), PAGE)
    write_text(PAGE, with_overview(page, targets))
    if IN_README in measured:
        readme = README.read_text(encoding="utf-8")
        part = markdown(IN_README, measured[IN_README], missing, on)
        write_text(README, replaced(readme, IN_README, part, README))


def with_overview(page: str, targets: Mapping[str, str]) -> str:
    """Returns the page with the two parts that tell of all measurements at once.

    Raises:
        UsageError: the page has no such parts.
    """
    page = replaced(page, bench_summary.METHOD, bench_summary.method(targets), PAGE)
    return replaced(page, bench_summary.ALL, bench_summary.overview(page, targets), PAGE)


def replaced(text: str, name: str, part: str, path: Path) -> str:
    """Returns `text` with `part` between the marks of `name`.

    Raises:
        UsageError: there are no such marks.
    """
    begin, end = marks(name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise UsageError(f"{path} has no part for {name}.", next_step=f"Add two lines: {begin} and {end}")
    return f"{before}{begin}\n{part}{end}{after}"


def marks(name: str) -> tuple[str, str]:
    """Returns the lines between which the figures of a measurement stand."""
    return f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"


def markdown(name: str, report: Report, missing: Mapping[str, SluiceError], on: Mapping[str, Any]) -> str:
    """Returns the figures and tables of one measurement as Markdown."""
    where = (
        f"Measured by `sluice bench {name}` on {datetime.now(UTC):%d %B %Y}: {on['processor']}, "
        f"{on['cores']} cores, {on['memory_gib']:.0f} GiB, Python {on['python']}, the load generator on the "
        "same cores. Quote the ratios; the times are this machine's."
    )
    lines = [
        where,
        "",
        *_rows(_FIGURE_COLUMNS, [_escaped(_cells(figure)) for figure in report.figures]),
    ]
    for table in report.tables:
        lines += ["", *_table(table)]
    lines += [
        f"\n{part}: not measured. {error.message.splitlines()[0]}"
        for part, error in missing.items()
        if part.startswith(f"{name}: ")
    ]
    return "\n".join(lines) + "\n"


_FIGURE_COLUMNS: Final = ("figure", "value", "aim", "against", "note")


def _cells(figure: Figure) -> tuple[str, ...]:
    value = f"{_number(figure.value)} {figure.unit}".strip()
    if figure.spread is not None:
        value += f" ({_number(figure.spread[0])} to {_number(figure.spread[1])})"
    return (
        figure.name,
        value,
        figure.aim or "",
        f"{figure.ratio:.3g} times {figure.peer}" if figure.ratio is not None else "",
        figure.note or "",
    )


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 - four digits


def _table(table: Table) -> list[str]:
    notes = [line for note in table.notes for line in (f"- {note}",)]
    return [*_rows(table.columns, table.rows), "", *notes]


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "an unnamed processor"
    named = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return named.group(1) if named else "an unnamed processor"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
