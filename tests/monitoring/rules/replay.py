"""Cases as promtool's unit tests: each alert with the recordings that it reads, and nothing else."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.kit import debian
from tests.monitoring.rules.cases import Case

RULES: Final = Path(__file__).parents[3] / "monitoring" / "rules" / "prometheus"
Rule = dict[str, Any]


def rules() -> list[Rule]:
    """Returns every rule of every file, in their order."""
    return [
        rule
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, Rule]:
    """Returns the alert rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recordings() -> dict[str, Rule]:
    """Returns the recording rules by the name of what they record."""
    return {rule["record"]: rule for rule in rules() if "record" in rule}


def promtool(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Returns how a run of promtool ended; the test skips where there is none."""
    command = (debian.program("promtool"), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def written(folder: Path, cases: Iterable[Case], *, annotations: bool = False) -> Sequence[Path]:
    """Writes unit tests of promtool into `folder`, one file for each alert and step, and returns their paths.

    Without `annotations` rules have none, and a test compares labels only.
    """
    known = alerts()
    sorts: dict[tuple[str, int], list[Case]] = defaultdict(list)
    for case in cases:
        sorts[case.alert, case.step].append(case)
    paths = []
    for (name, step), members in sorts.items():
        rule = known[name] if annotations else {k: v for k, v in known[name].items() if k != "annotations"}
        file = folder / f"{name}-{step}.rules.yaml"
        read = [
            recordings()[each] for each in sorted(set(re.findall(r"\benvironment:\w+:\w+", rule["expr"])))
        ]
        file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [*read, rule]}]}), "utf-8")
        tests = {
            "rule_files": [file.name],
            "evaluation_interval": f"{step}m",
            "tests": [_test(case, rule["labels"]) for case in members],
        }
        paths.append(folder / f"{name}-{step}.test.yaml")
        paths[-1].write_text(yaml.safe_dump(tests, sort_keys=False), "utf-8")
    return paths


def _test(case: Case, labels: dict[str, str]) -> dict[str, Any]:
    firing = [{"exp_labels": labels | own} for own in case.labels]
    moments: list[tuple[int, list[Any]]] = [(minute, []) for minute in case.silent]
    moments += [(minute, firing) for minute in case.fires]
    return {
        "name": f"{case.alert}: {case.name}",
        "interval": f"{case.step}m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": expected}
            for minute, expected in moments
        ],
    }
