"""`sluice bench`: every package's measurements, with the peers measured in the same run."""

import importlib
import json
import sys
from pathlib import Path
from typing import Final

import typer

from cli import bench_report
from kit.benchmark import Figure, Report
from kit.errors import ExitCode, SluiceError, UsageError
from kit.files import write_text
from kit.home import home
from kit.terminal import bar, print_json

MEASUREMENTS: Final[dict[str, str]] = {
    "start-up": "cli.bench:start_up",
    "corpus": "training.benchmarks:corpus_load",
    "extraction": "feature_repo.benchmarks:extraction",
    "lookup": "feature_repo.lookup_benchmark:lookup",
    "records": "records.benchmarks:prediction_window",
    "batch": "serving.batch.benchmarks:batch",
    "training": "training.fit_benchmark:fit",
    "pipeline": "pipelines.benchmarks:full_run",
    "scorer": "serving.benchmarks:scorer",
    "triton": "serving.benchmarks:triton",
    "transformer": "serving.transformer.benchmarks:transformer",
    "promotion": "serving.promotion.benchmarks:under_load",
    "admission": "gateway.access.benchmarks:admission",
    "recording": "gateway.memory.benchmarks:recording",
    "drift": "monitoring.drift.benchmarks:verdict",
    "gateway": "cli.comparison.benchmark:gateway",
}


def start_up(_home: object = None) -> list[Figure]:
    """Returns the CPU time of `sluice --help` in a process of its own, against that of `feast --help`."""
    import resource
    import statistics
    import subprocess

    def cpu_seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run((sys.executable, *arguments), check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ours = "import sys; sys.argv = ['sluice', '--help']; from cli.main import main; main()"
    own = statistics.median(cpu_seconds("-c", ours) for _ in range(5))
    peer = statistics.median(cpu_seconds("-m", "feast.cli.cli", "--help") for _ in range(3))
    return [Figure("sluice --help, CPU", own, "s", aim="< 0.5", peer="feast --help", ratio=own / peer)]


_ONLY: Final = f"Measure only this; may be given again. One of: {', '.join(MEASUREMENTS)}."


def bench(
    names: list[str] = typer.Argument(None, help="What to measure; nothing means everything."),
    only: list[str] = typer.Option([], "--only", help=_ONLY),
    write: bool = typer.Option(False, "--write", help="Write the figures into the documents."),
    as_json: bool = typer.Option(False, "--json", help="Print the figures as JSON."),
) -> None:
    """Measure speed against peers in one run.

    Each measurement runs on this machine, on the real corpus, next to a peer on the same input: quote the
    ratios, not the absolute times. The figures are kept in SLUICE_HOME/bench.json, beside those of
    measurements that were made before. What cannot be measured here is told with its reason, does not keep
    the rest from being measured, and makes the exit code 1.

    Examples: `sluice bench`, `sluice bench gateway --write`, `sluice bench extraction lookup --json`.
    """
    wanted = [*(names or ()), *only]
    unknown = sorted(set(wanted) - set(MEASUREMENTS))
    if unknown:
        raise UsageError(
            f"Nothing is measured under {', '.join(unknown)}: choose from {', '.join(MEASUREMENTS)}."
        )
    chosen = [name for name in MEASUREMENTS if not wanted or name in wanted]
    measured: dict[str, Report] = {}
    missing: dict[str, SluiceError] = {}
    folders = home()
    with bar("Measuring", len(chosen)) as advance:
        for name in chosen:
            module, _, attribute = MEASUREMENTS[name].partition(":")
            try:
                found = getattr(importlib.import_module(module), attribute)(folders)
                measured[name] = found if isinstance(found, Report) else Report(found)
                missing |= {f"{name}: {part}": error for part, error in measured[name].missing.items()}
            except SluiceError as exc:
                missing[name] = exc
            advance()
    file = folders.root / "bench.json"
    document = bench_report.joined(_former(file), bench_report.document(measured, missing))
    write_text(file, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    if write:
        bench_report.write(measured, missing, document["machine"], MEASUREMENTS)
    if as_json:
        print_json(document)
    else:
        bench_report.show(measured, missing)
    if missing:
        raise typer.Exit(ExitCode.FAILED)


def _former(file: Path) -> object:
    """Returns what earlier runs found; nothing if there is none, or if it cannot be read any more."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
