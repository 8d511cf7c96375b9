"""The rules of Prometheus: read by the real promtool, silent just under each threshold and firing at it."""

import json
import math
import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from contracts.environments import Environment
from contracts.metrics import METRICS
from gateway.settings import GatewaySettings
from monitoring.durations import duration
from monitoring.receiver.alertmanager_hook import KINDS
from monitoring.settings import MonitoringSettings
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.rules import replay
from tests.monitoring.rules.cases import CASES, HEALTHY, Case
from tests.monitoring.rules.expressions import faults, metric_of, used

ROOT: Final = replay.RULES.parents[2]
SCRAPES: Final = replay.RULES.parent / "prometheus.yaml"
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


def test_predictions_are_exactly_the_routes_that_predict() -> None:
    """Of all paths that the gateway offers: no probe, no page and no look-up counts for the promise."""
    document = json.loads((ROOT / "gateway" / "openapi.json").read_text("utf-8"))
    (pattern,) = {
        matchers["route"]
        for rule in replay.rules()
        for _, matchers in used(rule["expr"])
        if "route" in matchers
    }
    counted = {path for path in document["paths"] if re.fullmatch(pattern, path)}
    assert counted == {
        "/v1/predict", "/v1/predict/batch",
        "/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer",
    }  # fmt: skip


def test_thresholds_are_those_of_the_settings() -> None:
    """A rule and the check beside it speak of the same share; jobs may miss a few of their turns."""
    settings = MonitoringSettings()
    assert _threshold("SluiceAvailabilityLow") == settings.error_share
    assert _threshold("SluiceFeaturesDefaulted") == settings.defaulted_share
    assert _threshold("SluiceDriftJobStale") == 3 * duration(settings.drift_every).total_seconds()
    assert _threshold("SluiceFeatureIngestStale") == 6 * duration(settings.ingest_every).total_seconds()
    assert _threshold("SluiceDriftRunStale") == 2 * duration(settings.drift_window).total_seconds()
    assert f">= {settings.drift_min_rows}" in ALERTS["SluiceDriftRunStale"]["expr"]


def test_promtool_accepts_the_scrape_configuration() -> None:
    """With the rules that it names; its jobs are those that rules and dashboards go by."""
    ended = replay.promtool("check", "config", SCRAPES)
    assert ended.returncode == 0, ended.stderr
    assert "4 rule files found" in ended.stdout
    config = yaml.safe_load(SCRAPES.read_text("utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    named = {name for rule in ALERTS.values() for name in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert (
        named <= jobs.keys() == {"sluice-gateway", "sluice-transformer", "sluice-triton", "sluice-monitoring"}
    )
    for job in ("sluice-transformer", "sluice-triton"):
        places = [target["labels"]["environment"] for target in jobs[job]["static_configs"]]
        assert places == [environment.value for environment in Environment]
    (monitoring,) = jobs["sluice-monitoring"]["static_configs"]
    assert monitoring["targets"] == [f"127.0.0.1:{MonitoringSettings().port}"]
    (gateway,) = jobs["sluice-gateway"]["static_configs"]
    assert gateway["targets"] == [f"127.0.0.1:{GatewaySettings().port}"]


def _threshold(name: str) -> float:
    """Returns the first number that a rule compares with."""
    found = re.search(r"> ([\d.]+(?: \* \d+)?)", ALERTS[name]["expr"].replace("> 0)", ""))
    assert found is not None
    return math.prod(float(factor) for factor in found[1].split(" * "))
