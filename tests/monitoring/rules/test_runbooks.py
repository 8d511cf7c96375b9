"""The runbooks: one for each rule and each kind of alert, with commands, queries and settings that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from cli.main import COMMANDS, load
from cli.reference import settings_classes
from contracts.metrics import METRICS
from records.tables.monitoring_alerts import AlertKind
from tests.monitoring.rules import replay
from tests.monitoring.rules.expressions import faults, metric_of

RUNBOOKS: Final = replay.RULES.parents[2] / "docs" / "runbooks"
PAGES: Final = sorted(RUNBOOKS.glob("*.md"))
SECTIONS: Final = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def blocks(text: str, language: str) -> list[str]:
    """Returns the fenced blocks of a language, without their indent."""
    return [
        "\n".join(line.strip() for line in body.splitlines())
        for body in re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    ]


def commands(text: str) -> Iterator[str]:
    """Yields every call of sluice, in a block or in a line of text."""
    for block in blocks(text, "sh"):
        yield from (line for line in block.splitlines() if line.startswith("sluice "))
    yield from re.findall(r"`(sluice [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def fault(command: str) -> str | None:
    """Returns what is wrong with a call: a name, an option or an argument that it does not have, or lacks."""
    words = shlex.split(command)[1:]
    if words[0] not in COMMANDS:
        return f"there is no sluice {words[0]}"
    found: Any = load(words[0])
    rest = words[1:]
    while members := getattr(found, "commands", None):
        if not rest or rest[0] not in members:
            return f"sluice {words[0]} has no {rest[0] if rest else 'use without a name'}"
        found, rest = members[rest[0]], rest[1:]
    wrong = _wrong_use(found, rest)
    return f"{command}: {wrong}" if wrong else None


def _wrong_use(found: Any, rest: list[str]) -> str | None:
    options = {opt: p for p in found.params for opt in (*p.opts, *p.secondary_opts) if opt.startswith("-")}
    places = [p for p in found.params if p.param_type_name == "argument"]
    given, arguments = [], []
    while rest:
        word, rest = rest[0], rest[1:]
        if not word.startswith("-"):
            arguments.append(word)
            continue
        if word not in options:
            return f"no option {word}"
        given.append(options[word])
        rest = rest if options[word].is_flag else rest[1:]
    missing = [p.name for p in options.values() if p.required and p not in given]
    missing += [p.name for p in places[len(arguments) :] if p.required]
    if missing:
        return f"needs {missing[0]}"
    if len(arguments) > len(places) and all(p.nargs != -1 for p in places):
        return f"takes no {arguments[-1]}"
    return None


def test_every_rule_and_every_kind_has_a_page_and_every_page_one() -> None:
    """The name of the page is the name of the rule or the kind."""
    assert {page.stem for page in PAGES} == set(replay.alerts()) | set(AlertKind)


@pages
def test_a_page_has_its_four_sections_and_its_severity(page: Path) -> None:
    """In this order, none of them empty, after a sentence that says what it is."""
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.stem}\n\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE))
    rule = replay.alerts().get(page.stem)
    opening = rule["labels"]["severity"].capitalize() if rule else "An alert of Sluice's book"
    assert text.split("\n\n")[1].startswith(f"{opening}. ")


@pages
def test_its_commands_exist(page: Path) -> None:
    """Every `sluice …` is in the tree of commands, with its options and what it needs."""
    called = list(commands(page.read_text("utf-8")))
    assert called, "a runbook without a command helps nobody"
    assert [wrong for command in called if (wrong := fault(command))] == []


def test_the_check_of_commands_finds_wrong_ones() -> None:
    """The test above can fail."""
    assert fault("sluice alert list") == "there is no sluice alert"
    assert fault("sluice alerts tell x") == "sluice alerts has no tell"
    assert (
        fault("sluice alerts list --everything") == "sluice alerts list --everything: no option --everything"
    )
    assert fault("sluice model rollback --in production") == (
        "sluice model rollback --in production: needs reason"
    )
    assert fault("sluice alerts show") == "sluice alerts show: needs which"
    assert fault("sluice status now") == "sluice status now: takes no now"
    assert fault('sluice alerts ack ALERT --reason "looking into it"') is None


@pages
def test_its_metrics_and_settings_exist(page: Path) -> None:
    """What a page tells to look at is told by a process, and what it tells to set is a setting."""
    text = page.read_text("utf-8")
    recorded = replay.recordings()
    for name in re.findall(r"\b(?:environment:)?sluice_[a-z0-9_]+(?::\w+)*", text):
        known = name in recorded or name == "sluice_kind" or metric_of(name)
        assert known or name in {metric.name for metric in METRICS}, name
    variables = {name for settings in settings_classes() for name in settings.variables().values()}
    prefixes = "GATEWAY|MONITORING|TRANSFORMER|SERVING|RECORDS|PIPELINES|FEATURE_REPO|SLUICE"
    for name in re.findall(rf"\b(?:{prefixes})_[A-Z_]+\b", text):
        assert name.removesuffix("_FILE") in variables, name


def test_its_queries_are_read_by_promtool(tmp_path: Path) -> None:
    """Each block `promql` of every page, as a rule; with names and labels that exist."""
    queries = [query for page in PAGES for query in blocks(page.read_text("utf-8"), "promql")]
    assert [wrong for query in queries for wrong in faults(query)] == []
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    ended = replay.promtool("check", "rules", "--lint=none", file)
    assert ended.returncode == 0, ended.stderr
    assert f"{len(queries)} rules found" in ended.stdout
