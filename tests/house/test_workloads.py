"""The platform names no workload: what is one use of it stands in its own folders."""

import re
from pathlib import Path

import pytest

from training import workloads

ROOT = Path(__file__).parents[2]
WORDS = re.compile(r"\b(spam|ham|iris|e-?mails?)\b|spam[-_]", re.IGNORECASE)
# What only the reference workload has: its corpus, what reads an e-mail to serve it, and the figures of both.
OF_A_WORKLOAD = (
    "training/workloads/",
    "training/corpus/",
    "training/commands.py",
    "training/benchmarks.py",
    "serving/transformer/",
    "serving/peers/",
    "serving/extraction.py",
    "serving/scorer.py",
    "serving/prediction.py",
    "serving/predict_command.py",
    "serving/benchmarks.py",
    "serving/batch/benchmarks.py",
)
PLATFORM = [
    path
    for folder in ("training", "serving", "pipelines")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not str(path.relative_to(ROOT)).startswith(OF_A_WORKLOAD)
]


@pytest.mark.parametrize("path", PLATFORM, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_platform_module_names_no_workload(path: Path) -> None:
    """Neither in code nor in prose: an example that names one is where the next shortcut begins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if WORDS.search(line)] == []


def test_the_search_finds_what_it_looks_for() -> None:
    """Every workload that can be trained is caught by its name."""
    assert [name for name in workloads.MODULES if not WORDS.search(name)] == []
