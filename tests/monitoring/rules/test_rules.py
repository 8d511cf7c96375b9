"""The rules of Prometheus: read by the real promtool, silent just under each threshold and firing at it."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from contracts.metrics import METRICS
from monitoring.receiver.alertmanager_hook import KINDS
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.rules import replay
from tests.monitoring.rules.cases import CASES, HEALTHY, Case
from tests.monitoring.rules.expressions import faults, metric_of, used

ALERTS: Final = replay.alerts()
LABELS_OF_A_RULE: Final = {"severity", "component", "sluice_kind"}


def test_promtool_accepts_every_file() -> None:
    """With its own lint for names that stand twice."""
    ended = replay.promtool(
        "check", "rules", "--lint=all", "--lint-fatal", *sorted(replay.RULES.glob("*.yaml"))
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("SUCCESS") == len(list(replay.RULES.glob("*.yaml")))


def test_every_alert_has_both_sides() -> None:
    """A rule that was never seen silent, or never seen to fire, is not tested."""
    assert {case.alert for case in CASES if case.silent} == set(ALERTS)
    assert {case.alert for case in CASES if case.fires} == set(ALERTS)


def test_alerts_fire_when_they_should_and_at_no_other_time(tmp_path: Path) -> None:
    """Every case, minute by minute, by promtool."""
    ended = replay.promtool("test", "rules", *replay.written(tmp_path, CASES))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("series", [HEALTHY, {"something_else": "1+0x60"}], ids=["well", "nothing there"])
def test_nothing_fires_where_nothing_is_wrong(tmp_path: Path, series: dict[str, str]) -> None:
    """A metric that is not there is no fault: not on the first day, nor where a part does not run."""
    ended = replay.promtool(
        "test",
        "rules",
        *replay.written(tmp_path, [Case(name, "well", series, silent=(39,)) for name in ALERTS]),
    )
    assert ended.returncode == 0, ended.stderr


def test_the_healthy_hour_holds_every_metric_that_rules_read() -> None:
    """Else the test above would say nothing of a rule."""
    held = {name for text in HEALTHY for name, _ in used(text)}
    read = {name for rule in replay.rules() for name, _ in used(rule["expr"])}
    assert {metric_of(name) or name for name in read} <= {metric_of(name) or name for name in held}


@pytest.mark.parametrize("rule", replay.rules(), ids=lambda rule: str(rule.get("alert", rule.get("record"))))
def test_a_rule_reads_only_what_a_process_tells(rule: replay.Rule) -> None:
    """Names and labels are those of contracts/metrics.py; recordings are recorded."""
    assert faults(rule["expr"]) == []
    for name in re.findall(r"\benvironment:\w+:\w+", rule["expr"]):
        assert name in replay.recordings()


def test_the_check_of_names_finds_wrong_ones() -> None:
    """The tests above can fail."""
    assert faults("sluice_gateway_spool_byte > 1") == ["no process tells sluice_gateway_spool_byte"]
    assert faults('sluice_gateway_spool_bytes{model="a"}') == [
        "sluice_gateway_spool_bytes has no label model"
    ]
    assert faults("sum by (kind) (sluice_gateway_spool_bytes)") == ["nothing has the label kind"]
    assert faults('sluice_retraining_total{outcome="fialed"}') == [
        "sluice_retraining_total has no outcome 'fialed'"
    ]
    assert faults("sluice_gateway_request_seconds") == ["no process tells sluice_gateway_request_seconds"]
    assert faults('sum by (le) (rate(sluice_gateway_request_seconds_bucket{route=~"/v2/{m}"}[5m]))') == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(name: str) -> None:
    """CamelCase after Sluice; severity, component, and three annotations; no other label."""
    rule = ALERTS[name]
    assert re.fullmatch(r"Sluice([A-Z][a-z]+)+", name)
    assert rule["labels"].keys() <= LABELS_OF_A_RULE
    assert rule["labels"]["severity"] in set(Severity)
    assert rule["labels"].get("sluice_kind", AlertKind.MODEL_ERROR) in KINDS
    assert rule["labels"]["component"]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


def test_texts_of_firing_alerts_are_whole_sentences_with_names_in_them(tmp_path: Path) -> None:
    """The templates are filled: what promtool prints where silence was expected is what people read."""
    firing = {case.alert: case for case in reversed(CASES) if case.fires}
    wrong = [
        Case(case.alert, case.name, case.series, silent=(case.fires[-1],), step=case.step)
        for case in firing.values()
    ]
    ended = replay.promtool("test", "rules", *replay.written(tmp_path, wrong, annotations=True))
    told = dict(re.findall(r'Labels:\{alertname="(\w+)".*?\n\s+Annotations:\{(.*)\}\n', ended.stderr))
    assert told.keys() == firing.keys()
    for name, text in told.items():
        assert not re.search(r"<no value>|<error|%!|NaN|Inf|\{\{|in  |: +\"", text), (name, text)
        for labels in firing[name].labels:
            places = [labels[each] for each in ("environment", "model", "channel") if each in labels]
            assert all(place in text for place in places), (name, text)


def test_no_metric_of_the_jobs_goes_unwatched() -> None:
    """Each part of the platform that can stop has a rule that sees it stop."""
    read = {metric_of(name) for rule in ALERTS.values() for name, _ in used(rule["expr"])}
    stops = (
        "_timestamp_seconds",
        "_up",
        "_read",
        "_breaker_open",
        "_dropped_total",
        "_refused_versions_total",
    )
    for metric in METRICS:
        if metric.name.endswith(stops) and metric.name != "sluice_gateway_keys_refused_total":
            assert metric in read, metric.name


def test_rules_are_shipped_as_they_are_written() -> None:
    """Anchors and merges of YAML would be lost in a ConfigMap."""
    for path in replay.RULES.glob("*.yaml"):
        assert not re.search(r"^\s*<<:|&\w+$", path.read_text("utf-8"), re.MULTILINE)
        assert yaml.safe_load(path.read_text("utf-8")).keys() == {"groups"}
