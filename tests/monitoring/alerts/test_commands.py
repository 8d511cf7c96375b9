"""`sluice alerts` as a user types it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from cli.main import main
from kit.home import Home
from monitoring.alerts.book import Sighting, sighted
from monitoring.drift.reference import Reference
from monitoring.settings import MonitoringSettings
from records.repositories.alerts import Cause
from records.tables.monitoring_alerts import Severity
from tests.monitoring.alerts.story import EVIDENCE, HEADER
from tests.monitoring.conftest import connect
from tests.monitoring.traffic import record, resampled, rows_of

KEY = "spam-detector/production/data_drift/header"
SENDER = HEADER._replace(family="sender")
CHANNEL = [{"name": "all", "format": "slack", "url": "https://hooks.invalid/services/x"}]

See = Callable[..., str]


@pytest.fixture
def here(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This machine, for commands; its tables are wide."""
    monkeypatch.setenv("SLUICE_HOME", str(home.root))
    monkeypatch.delenv("RECORDS_URL", raising=False)
    monkeypatch.setenv("MONITORING_CHANNELS", json.dumps(CHANNEL))
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.setenv("LOGNAME", "grace")
    return home


@pytest.fixture
def see(here: Home) -> See:
    """Writes a sighting, and returns the id of its alert."""

    def seen(cause: Cause = HEADER, **changed: Any) -> str:
        async def write() -> str:
            memory = connect(here.records)
            values: dict[str, Any] = {
                "severity": Severity.WARNING,
                "summary": "The features drifted.",
                "evidence": EVIDENCE,
                "seen_at": datetime.now(UTC),
            }
            async with memory.transaction() as session:
                sighting = Sighting(**(values | changed))
                entry = await sighted(session, MonitoringSettings.load(), here, cause, sighting)
            await memory.close()
            return str(entry.alert.id)

        return asyncio.run(write())

    return seen


def run(*arguments: str, command: str = "alerts") -> int:
    """Returns the exit code of `sluice alerts …`."""
    with pytest.raises(SystemExit) as left:
        main([command, *arguments])
    return int(left.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """Returns what was printed as JSON."""
    return json.loads(capsys.readouterr().out)


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """Returns what was printed, in one line."""
    written = capsys.readouterr()
    return " ".join((written.out + written.err).split())


def test_the_life_of_an_alert(here: Home, see: See, capsys: pytest.CaptureFixture[str]) -> None:
    """Listed, acknowledged, muted, unmuted, resolved: by the key, and each with who and why."""
    alert_id = see()
    assert run("list") == 0
    assert KEY in (text := shown(capsys))
    assert f"{KEY} warning, open, since " in text
    assert run("ack", KEY, "--reason", "looking into it") == 0
    assert shown(capsys) == f"{KEY}: acknowledged."
    assert run("mute", KEY, "--for", "4h", "--reason", "a load test", "--as", "ada") == 0
    assert f"{KEY}: acknowledged, muted until " in shown(capsys)
    assert run("unmute", KEY, "--reason", "it is over", "--as", "ada") == 0
    assert shown(capsys) == f"{KEY}: acknowledged."
    assert run("resolve", KEY, "--reason", "version 8 serves", "--json") == 0
    document = answer(capsys)
    assert (document["id"], document["state"]) == (alert_id, "resolved")
    assert [(entry["actor"], entry["reason"]) for entry in document["history"]] == [
        ("grace", "looking into it"),
        ("ada", "a load test"),
        ("ada", "it is over"),
        ("grace", "version 8 serves"),
    ]
    assert run("list") == 0
    assert shown(capsys) == "No open alert."
    assert run("list", "--all") == 0
    assert alert_id in shown(capsys)


def test_a_list_in_a_narrow_terminal_can_be_read_and_copied(
    here: Home, see: See, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key and the sentence are a line each, however narrow it is."""
    monkeypatch.setenv("COLUMNS", "40")
    alert_id = see(summary="The header features drifted: hop_count went from median 3 to median 9.")
    see(summary="The header features drifted: hop_count went from median 3 to median 9.")
    capsys.readouterr()
    assert run("list", "--all") == 0
    key, identity, facts, summary = capsys.readouterr().out.splitlines()
    assert (key, identity.strip()) == (KEY, alert_id)
    assert facts.endswith(" UTC, seen 2 times")
    assert summary.strip() == "The header features drifted: hop_count went from median 3 to median 9."


def test_show_tells_everything(here: Home, see: See, capsys: pytest.CaptureFixture[str]) -> None:
    """What moved, what people did, who was told, and commands that can be copied whole."""
    alert_id = see()
    run("ack", alert_id, "--reason", "looking into it", "--as", "ada")
    run("ack", alert_id, "--reason", "a" * 500 + " run 7", "--as", "ada")
    capsys.readouterr()
    assert run("show", alert_id) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "- hop_count: median 3 in the reference, median 9 now" in lines
    assert "For example: row-1, row-2, row-3" in lines
    assert f"mute: sluice alerts mute {alert_id} --for 4h --reason 'known, being mended'" in lines
    assert any(line.endswith("acknowledged by ada: looking into it") for line in lines)
    assert any(line.endswith("a run 7") for line in lines)
    assert any("opened" in line and "pending" in line for line in lines)
    assert run("show", alert_id, "--json") == 0
    document = answer(capsys)
    assert document["evidence"]["rows"] == 1200
    assert document["runbook"] == "docs/runbooks/data_drift.md"
    assert [message["change"] for message in document["messages"]] == ["opened", "acknowledged"]


def test_an_alert_is_found_by_the_beginning_of_its_key_or_id(
    here: Home, see: See, capsys: pytest.CaptureFixture[str]
) -> None:
    """If only one has it; of one key the open one counts, and else the latest."""
    header, sender = see(), see(SENDER)
    assert run("show", "spam-detector/production/data_drift/s", "--json") == 0
    assert answer(capsys)["id"] == sender
    for beginning in (header[:-1], header.replace("-", "")[:-1], header.upper()):
        assert run("show", beginning, "--json") == 0
        assert answer(capsys)["id"] == header
    for beginning in ("spam", header[:4]):
        assert run("ack", beginning, "--reason", "r") == 2
        assert "is the beginning of 2 alerts" in shown(capsys)
    run("resolve", KEY, "--reason", "r")
    capsys.readouterr()
    assert run("show", KEY, "--json") == 0
    assert answer(capsys)["id"] == header
    again = see()
    assert run("show", KEY, "--json") == 0
    assert answer(capsys)["id"] == again
    assert run("show", header, "--json") == 0
    assert answer(capsys)["id"] == header
    assert run("list", "--all", "--json") == 0
    assert {each["id"] for each in answer(capsys)} == {header, sender, again}
    assert run("list", "--json", "--environment", "staging") == 0
    assert answer(capsys) == []


@pytest.mark.parametrize(
    "wanted", ["", " ", "no/such", "%", "_", "ffffffff", "'; --", "\x00", "\ud800", "ü" * 9999]
)
def test_what_means_no_alert_is_told(
    here: Home, see: See, capsys: pytest.CaptureFixture[str], wanted: str
) -> None:
    """Nothing is changed, whatever the words are."""
    see()
    for arguments in (("show", wanted), ("ack", wanted, "--reason", "r")):
        assert run(*arguments) == 1
        assert "sluice alerts list" in shown(capsys)


def test_wrong_usage_is_told(here: Home, see: See, capsys: pytest.CaptureFixture[str]) -> None:
    """No reason, a blank one, no name, no duration; a resolved alert takes nothing."""
    see()
    assert run("ack", KEY) == 2
    assert run("ack", KEY, "--reason", " ") == 2
    assert "needs a name and a reason" in shown(capsys)
    assert run("resolve", KEY, "--reason", "r", "--as", "") == 2
    assert run("mute", KEY, "--reason", "r") == 2
    assert run("mute", KEY, "--reason", "r", "--for", "a while") == 2
    assert "30m, 24h or 7d" in shown(capsys)
    assert run("resolve", KEY, "--reason", "r") == 0
    assert run("resolve", KEY, "--reason", "r", "--json") == 1
    assert answer(capsys)["code"] == "record_missing"


def test_words_of_strangers_harm_no_terminal(
    here: Home, see: See, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markup of our own tables, escapes of the terminal, line ends."""
    hostile = "[/red][bold]\x1b[2J\nfake line"
    alert_id = see(HEADER._replace(model_name=hostile), summary=hostile)
    run("ack", alert_id, "--reason", hostile, "--as", hostile)
    for arguments in (("list",), ("list", "--all"), ("show", alert_id)):
        assert run(*arguments) == 0
        text = capsys.readouterr().out
        assert "\x1b[2J" not in text
        assert "[/red][bold] [2J fake line" in text


def test_a_drift_run_says_which_alerts_it_opened(
    here: Home, reference: Reference, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: with the command to look at it, or as JSON."""
    monkeypatch.setenv("MONITORING_DRIFT_DEALS", "700")
    monkeypatch.setenv("MONITORING_REPORT_WHEN", "never")

    async def write(name: str, start: timedelta, length: timedelta) -> None:
        memory = connect(here.records)
        since = datetime.now(UTC) - start
        rows = rows_of(
            reference,
            resampled(reference, 250),
            name=name,
            start=since,
            end=since + length,
            numbers=lambda matrix: np.asarray(matrix + 3.0 * (np.arange(len(matrix)) % 2)[:, None]),
        )
        await record(memory, rows)
        await memory.close()

    asyncio.run(write("first", timedelta(hours=2), timedelta(hours=1)))
    assert run("run", command="drift") == 0
    text = shown(capsys)
    assert f"Alert opened, warning: {KEY}" in text
    assert "Look: sluice alerts show " in text
    asyncio.run(write("second", timedelta(microseconds=1), timedelta(microseconds=1)))
    assert run("run", "--rows", "250", "--json", command="drift") == 0
    assert {(each["key"], each["change"]) for each in answer(capsys)["alerts"]} == {
        (f"spam-detector/production/data_drift/{family}", None)
        for family in ("header", "structure", "sender")
    }


def test_records_that_are_not_there_are_told(
    here: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home where nothing was migrated."""
    (here.root / "nothing").mkdir()
    monkeypatch.setenv("SLUICE_HOME", str(here.root / "nothing"))
    assert run("list") == 1
    assert "sluice records upgrade" in shown(capsys)
