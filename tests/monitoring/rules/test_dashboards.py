"""Grafana's dashboards: as their generator makes them, with queries that promtool reads."""

import itertools
import json
import re
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml

from contracts.metrics import METRICS
from monitoring.dashboards import files, overview, panels
from tests.monitoring.rules import replay
from tests.monitoring.rules.expressions import faults, metric_of, used

PATHS: Final = sorted(files.FOLDER.glob("*.json"))
OTHERS: Final = {
    # Prometheus itself
    "up",
    # prometheus_client, of a process
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    # Triton 2.51
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_queue_duration_us",
}  # fmt: skip
"""What dashboards show beside Sluice's own metrics."""
Dashboard = dict[str, Any]
each = pytest.mark.parametrize(
    "dashboard", [json.loads(path.read_text("utf-8")) for path in PATHS], ids=lambda d: str(d["uid"])
)


def shown(dashboard: Dashboard) -> list[Dashboard]:
    """Returns the panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets(dashboard: Dashboard) -> list[Dashboard]:
    """Returns the queries of all panels."""
    return [target for panel in shown(dashboard) for target in panel["targets"]]


def plain(expression: str) -> str:
    """Returns an expression as Prometheus gets it: with Grafana's variables filled in."""
    return (
        expression.replace("$__rate_interval", "1m")
        .replace("$environment", "staging|production")
        .replace("$model", ".+")
    )


def test_the_files_are_as_the_generator_makes_them() -> None:
    """When this fails, run `python -m monitoring.dashboards` and commit."""
    assert {path.name: path.read_text("utf-8") for path in PATHS} == files.texts()


def test_uids_are_unique_and_short_enough() -> None:
    """Grafana takes 40 characters; a uid is the dashboard's address."""
    uids = [json.loads(path.read_text("utf-8"))["uid"] for path in PATHS]
    assert len(set(uids)) == len(uids) == 4
    assert all(re.fullmatch(r"sluice-[a-z-]{1,33}", uid) for uid in uids)


@each
def test_panels_have_ids_of_their_own_and_lie_side_by_side(dashboard: Dashboard) -> None:
    """Within 24 columns, none over another."""
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for one, other in itertools.combinations([panel["gridPos"] for panel in dashboard["panels"]], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])


@each
def test_a_panel_says_what_it_shows_in_which_unit_from_the_chosen_prometheus(dashboard: Dashboard) -> None:
    """Title, sentence, unit; queries with names of their own and lines that can be told apart."""
    assert dashboard["templating"]["list"][0] | {"label": ""} == {
        "type": "datasource", "name": "datasource", "label": "", "query": "prometheus",
    }  # fmt: skip
    for panel in shown(dashboard):
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in get_args(panels.Unit)
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert len(set(references)) == len(set(legends)) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["instant"] is not target["range"]
            assert panel["type"] == "table" or target["legendFormat"] != "__auto"


@each
def test_variables_are_defined_and_used(dashboard: Dashboard) -> None:
    """A choice that changes nothing is none."""
    defined = {variable["name"] for variable in dashboard["templating"]["list"]} - {"datasource"}
    text = " ".join(target["expr"] for target in targets(dashboard))
    assert set(re.findall(r"\$([a-z]+)", text)) == defined


@each
def test_lines_are_named_by_labels_that_they_have(dashboard: Dashboard) -> None:
    """A name that a query sums away would be empty."""
    for target in targets(dashboard):
        outer = re.match(
            r"(?:histogram_quantile\(0\.99, )?(?:time\(\) - )?(?:sum|max|count) by \(([^)]*)\)",
            target["expr"],
        )
        if outer is not None:
            kept = {label.strip() for label in outer[1].split(",")}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept, target["expr"]


@each
def test_expressions_read_only_what_a_process_tells(dashboard: Dashboard) -> None:
    """Metrics and labels of contracts/metrics.py, recordings of the rules, and a short list of others."""
    expressions = [target["expr"] for target in targets(dashboard)]
    expressions += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    for expression in expressions:
        assert faults(plain(expression)) == []
        names = {name for name, _ in used(plain(expression))}
        assert {name for name in names if not name.startswith("sluice_")} <= OTHERS
        for name in re.findall(r"\benvironment:\w+:\w+", expression):
            assert name in replay.recordings()
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            metric = metric_of(name)
            assert metric is not None
            assert label in metric.labels


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    """As rules, since that is what promtool reads."""
    expressions = sorted(
        {plain(t["expr"]) for path in PATHS for t in targets(json.loads(path.read_text("utf-8")))}
    )
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions)]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    ended = replay.promtool("check", "rules", "--lint=none", file)
    assert ended.returncode == 0, ended.stderr
    assert f"{len(expressions)} rules found" in ended.stdout


def test_every_metric_is_shown_somewhere() -> None:
    """What a process tells and nobody can see is not worth telling."""
    expressions = [plain(t["expr"]) for path in PATHS for t in targets(json.loads(path.read_text("utf-8")))]
    expressions += [rule["expr"] for rule in replay.recordings().values()]
    seen = {metric.name for text in expressions for name, _ in used(text) if (metric := metric_of(name))}
    assert {metric.name for metric in METRICS} - seen == set()


def test_the_overview_counts_the_same_requests_and_budget_as_the_rules() -> None:
    """One promise, and not two."""
    routes = re.search(r'route=~"[^"]*"', overview.PREDICTIONS)
    assert routes is not None
    text = (replay.RULES / "objective.yaml").read_text("utf-8")
    assert set(re.findall(r'route=~"[^"]*"', text)) == {routes[0]}
    multiples = re.findall(r"> [\d.]+ \* (0\.\d+)$", text, re.MULTILINE)
    assert len(multiples) == 8
    assert {float(share) for share in multiples} == {overview.BUDGET}
