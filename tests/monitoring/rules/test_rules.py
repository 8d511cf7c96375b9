"""The rules of Prometheus: read by the real promtool, silent just under each threshold and firing at it."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Final

import pytest
import yaml

from contracts.metrics import METRICS
from contracts.monitoring import ScrapeJob
from monitoring.durations import duration
from monitoring.receiver.alertmanager_hook import KINDS
from monitoring.settings import MonitoringSettings
from records.tables.monitoring_alerts import AlertKind, Severity
from serving.local.status import ProcessStatus
from serving.local.targets import targets
from tests.monitoring.rules import replay
from tests.monitoring.rules.cases import CASES, HEALTHY, Case
from tests.monitoring.rules.expressions import faults, metric_of, used

ROOT: Final = replay.RULES.parents[2]
SCRAPES: Final = replay.RULES.parent / "prometheus.yaml"
ALERTS: Final = replay.alerts()
RUNNING: Final = [
    ProcessStatus(name, "ready", 1, None, 0, 0, {use: f"127.0.0.1:{port}" for use, port in ports.items()})
    for name, ports in (
        ("gateway", {"http": 1}),
        ("monitoring", {"http": 2}),
        ("transformer-staging", {"http": 3}),
        ("triton-production", {"http": 4, "grpc": 5, "metrics": 6}),
        ("mlflow", {"http": 7}),
    )
]
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


def test_promtool_accepts_the_scrape_configuration_and_finds_what_sluice_up_started(tmp_path: Path) -> None:
    """The file of `sluice status --targets` gives each process its job, and its environment if it has one."""
    folder = tmp_path / "prometheus"
    shutil.copytree(SCRAPES.parent, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "targets").mkdir()
    (folder / "targets" / "here.json").write_text(json.dumps(targets(RUNNING)), encoding="utf-8")
    ended = replay.promtool("check", "config", folder / SCRAPES.name)
    assert ended.returncode == 0, ended.stderr
    assert "4 rule files found" in ended.stdout
    ended = replay.promtool("check", "service-discovery", "--timeout=1s", folder / SCRAPES.name, "sluice")
    assert ended.returncode == 0, ended.stderr
    found = {
        each["labels"]["instance"]: {
            name: value for name, value in each["labels"].items() if not name.startswith("__")
        }
        for each in json.loads(ended.stdout)
    }
    assert found == {
        "127.0.0.1:1": {"job": "sluice-gateway", "instance": "127.0.0.1:1"},
        "127.0.0.1:2": {"job": "sluice-monitoring", "instance": "127.0.0.1:2"},
        "127.0.0.1:3": {"job": "sluice-transformer", "instance": "127.0.0.1:3", "environment": "staging"},
        "127.0.0.1:6": {"job": "sluice-triton", "instance": "127.0.0.1:6", "environment": "production"},
    }


def test_rules_and_dashboards_go_by_jobs_that_there_are() -> None:
    """A job is named by the contract, and matched as a whole or by its beginning."""
    named = {job for rule in ALERTS.values() for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert named <= set(ScrapeJob)
    assert all(re.fullmatch("sluice-.+", job) for job in ScrapeJob)


def _threshold(name: str) -> float:
    """Returns the first number that a rule compares with."""
    found = re.search(r"> ([\d.]+(?: \* \d+)?)", ALERTS[name]["expr"].replace("> 0)", ""))
    assert found is not None
    return math.prod(float(factor) for factor in found[1].split(" * "))
