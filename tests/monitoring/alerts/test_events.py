"""An event says where to look and what to do, in commands that the command line takes."""

import shlex
from pathlib import Path
from uuid import uuid4

import pytest

from cli.main import load
from contracts.environments import Environment
from contracts.monitoring import address_file
from kit.home import Home
from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.events import event_of
from monitoring.settings import MonitoringSettings
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.alerts.story import EVIDENCE, minute, note


def alert(kind: AlertKind = AlertKind.DATA_DRIFT, **changed: object) -> MonitoringAlert:
    """Returns an open alert."""
    values: dict[str, object] = {
        "id": uuid4(),
        "key": f"spam-detector/production/{kind}/header",
        "model_name": "spam-detector",
        "environment": Environment.PRODUCTION,
        "kind": kind,
        "family": "header",
        "model_version": "7",
        "severity": Severity.WARNING,
        "summary": "The header features drifted.",
        "details": EVIDENCE.model_dump(mode="json"),
        "opened_at": minute(0),
        "last_seen_at": minute(5),
        "occurrences": 2,
        "history": [],
    }
    return MonitoringAlert(**(values | changed))


def event(
    home: Home, row: MonitoringAlert | None = None, change: Change = Change.OPENED, **settings: object
) -> AlertEvent:
    """Returns the event of an alert that has just been opened."""
    return event_of(row or alert(), change, MonitoringSettings.load(**settings), home, at=minute(5))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty machine."""
    return Home(tmp_path)


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("change", [change for change in Change if change is not Change.TEST])
@pytest.mark.parametrize("model", ["spam-detector", "it's; a $(model)"])
def test_every_command_is_one_that_sluice_takes(
    home: Home, kind: AlertKind, change: Change, model: str
) -> None:
    """Its own parser reads it, options and all, and finds the alert and the reason in it again."""
    row = alert(kind, model_name=model)
    for command in event(home, row, change).commands:
        sluice, name, sub, *arguments = shlex.split(command.command)
        assert sluice == "sluice"
        parsed = load(name).commands[sub].make_context(sub, arguments)
        values = {str(value) for value in parsed.params.values()}
        assert str(row.id) in values or any(str(row.id) in value for value in values)
        assert model in values or name == "alerts"


@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        (AlertKind.DATA_DRIFT, {"roll back", "retrain"}),
        (AlertKind.CONCEPT_DRIFT, {"roll back", "retrain"}),
        (AlertKind.PERFORMANCE_DEGRADATION, {"roll back", "retrain"}),
        (AlertKind.MODEL_ERROR, {"roll back"}),
        (AlertKind.STALE_FEATURES, set()),
        (AlertKind.PREDICTION_LOSS, set()),
    ],
)
def test_only_what_may_mend_it_is_offered(home: Home, kind: AlertKind, offered: set[str]) -> None:
    """No other model mends a feature store; and of what is over there is only the look."""
    purposes = {command.purpose for command in event(home, alert(kind)).commands}
    assert purposes == {"look", "acknowledge", "mute", "resolve"} | offered
    over = event(home, alert(kind), Change.RESOLVED)
    assert [command.purpose for command in over.commands] == ["look"]


@pytest.mark.parametrize("given", ["https://m.invalid", "https://m.invalid/", "https://m.invalid/console"])
def test_the_console_is_where_the_setting_says(home: Home, given: str) -> None:
    """Before the address of this machine, which others cannot reach."""
    address_file(home.root).parent.mkdir(parents=True)
    address_file(home.root).write_text("http://127.0.0.1:8010\n")
    row = alert()
    assert event(home, row, public_url=given).console == f"https://m.invalid/console/alerts/{row.id}"
    assert event(home, row).console == f"http://127.0.0.1:8010/console/alerts/{row.id}"


def test_without_an_address_there_is_no_link_and_the_report_is_a_path(home: Home) -> None:
    """Nothing is made up; an address file that is empty is none."""
    row = alert(details=EVIDENCE.model_copy(update={"report": "reports/p.html"}).model_dump(mode="json"))
    assert (event(home, row).console, event(home, row).report) == ("", str(home.root / "reports/p.html"))
    address_file(home.root).parent.mkdir(parents=True)
    address_file(home.root).write_text("\n")
    assert event(home, row).console == ""
    assert event(home, row, public_url="https://m.invalid").report == (
        "https://m.invalid/console/reports/p.html"
    )


@pytest.mark.parametrize("runbooks", ["docs/runbooks", "https://wiki.invalid/runbooks/"])
def test_the_runbook_has_the_name_of_the_kind(home: Home, runbooks: str) -> None:
    """In a folder or on a site."""
    found = event(home, runbooks=runbooks).runbook
    assert found == f"{runbooks.rstrip('/')}/data_drift.md"


def test_a_note_stands_in_the_event(home: Home) -> None:
    """Who and why; and the whole event goes through JSON unchanged."""
    found = event_of(
        alert(), Change.ACKNOWLEDGED, MonitoringSettings.load(), home, at=minute(9), note=note(9)
    )
    assert (found.actor, found.reason, found.at) == ("ada", "looked at it", minute(9))
    assert AlertEvent.model_validate_json(found.model_dump_json()) == found
