"""What an expression of PromQL reads: metrics and labels, held against contracts/metrics.py."""

import re
from collections.abc import Iterator
from typing import Final

from contracts.metrics import METRICS, Kind, Metric

TARGET: Final = frozenset({"job", "instance", "environment"})
"""Labels that Prometheus itself gives to what it scrapes (monitoring/rules/prometheus.yaml)."""
_SERIES: Final = ("_bucket", "_sum", "_count")
_USED: Final = re.compile(r"(?<![:\w])((?:sluice|process|nv)_[a-z0-9_]+|up)(?![:\w])(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPED: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_BY_NAME: Final = {metric.name: metric for metric in METRICS}


def metric_of(name: str) -> Metric | None:
    """Returns the metric of the contract that a series belongs to."""
    for end in _SERIES:
        family = _BY_NAME.get(name.removesuffix(end))
        if name.endswith(end) and family is not None and family.kind is Kind.HISTOGRAM:
            return family
    found = _BY_NAME.get(name)
    return None if found is not None and found.kind is Kind.HISTOGRAM else found


def used(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields each series that an expression selects, and its matchers."""
    for name, matchers in _USED.findall(_plain(expression)):
        yield name, dict(_MATCHER.findall(matchers))


def faults(expression: str) -> list[str]:
    """Returns what of Sluice's own an expression names that no process tells."""
    found: list[str] = []
    labels, own_series = set(TARGET), False
    for name, matchers in used(expression):
        if not name.startswith("sluice_"):
            labels |= matchers.keys()
            continue
        own_series = True
        metric = metric_of(name)
        if metric is None:
            found.append(f"no process tells {name}")
            continue
        own = set(metric.labels) | TARGET | ({"le"} if metric.kind is Kind.HISTOGRAM else set())
        labels |= own
        found += [f"{name} has no label {label}" for label in matchers.keys() - own]
        found += [
            f"{name} has no {label} {value!r}"
            for label, value in matchers.items()
            if label in ("outcome", "reason") and not re.search(rf"\b{value}\b", metric.sentence)
        ]
    for group in _GROUPED.findall(_plain(expression)):
        wanted = {label.strip() for label in group.split(",") if label.strip()}
        if own_series:  # else it reads recordings only
            found += [f"nothing has the label {label}" for label in wanted - labels]
    return found


def _plain(expression: str) -> str:
    """Returns the expression with braces inside of quotes taken out: a pattern may hold `{model}`."""
    return re.sub(r'"[^"]*"', lambda quoted: quoted.group().replace("{", "(").replace("}", ")"), expression)
