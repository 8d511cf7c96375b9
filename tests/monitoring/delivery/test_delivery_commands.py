"""`sluice alerts test, deliveries, resend, deliver` as a user types them, against a real receiver."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.main import main
from kit.home import Home
from monitoring.alerts.event import Change
from monitoring.delivery.channel import Channel
from monitoring.delivery.sender import send_due
from monitoring.delivery.trial import tried
from records.engine import Records
from records.repositories import receipts
from records.tables.monitoring_alerts import Severity
from tests.monitoring.delivery.events import channel, queued, settings
from tests.monitoring.delivery.receiver import OK, Receiver, answer, saying
from tests.monitoring.delivery.shapes import SlackMessage
from tests.records.rows import after


class Shell:
    """Where commands run: their settings, and what they printed."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capsys = capsys

    def configure(self, *channels: Channel, **variables: str) -> None:
        """Sets MONITORING_CHANNELS, and more."""
        told = [
            {
                "name": each.name,
                "format": each.format,
                "url": each.url.get_secret_value(),
                "secret": each.secret.get_secret_value() if each.secret else None,
            }
            for each in channels
        ]
        self._patch.setenv("MONITORING_CHANNELS", json.dumps(told))
        for name, value in variables.items():
            self._patch.setenv(name, value)

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Returns the exit code of `sluice alerts …`, and what it printed."""

        def command() -> int:
            try:
                main(["alerts", *arguments])
            except SystemExit as left:
                return int(left.code or 0)

        code = await asyncio.to_thread(command)
        printed = self._capsys.readouterr()
        return code, printed.out, " ".join(printed.err.split())

    async def json(self, *arguments: str, code: int = 0) -> Any:
        """Returns what was printed as JSON."""
        left, printed, _ = await self.run(*arguments, "--json")
        assert left == code
        return json.loads(printed)


@pytest.fixture
def shell(
    memory: Records,
    file_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """A shell of this test's machine, whose channels may be on loopback."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("RECORDS_URL", file_address)
    monkeypatch.setenv("MONITORING_EGRESS_ALLOWED", '["127.0.0.1/32"]')
    return Shell(monkeypatch, capsys)


async def test_a_test_goes_the_way_of_an_alert(shell: Shell, receiver: Receiver) -> None:
    """Queued, rendered for the channel, sent; the exit code is 0, and the outbox knows it."""
    shell.configure(channel("slack", receiver.url()))
    code, printed, said = await shell.run("test", "on-call")
    assert (code, printed) == (0, "")
    assert "The test message to on-call (slack) arrived: HTTP 200." in said
    (request,) = receiver.received
    message = SlackMessage.model_validate_json(request.body)
    assert "This is a test of the channel on-call: nothing is wrong." in message.texts()
    (kept,) = await shell.json("deliveries")
    assert (kept["change"], kept["status"], kept["attempts"]) == ("test", "delivered", 1)
    assert kept["alert_id"] is None


@pytest.mark.parametrize("form", ["pagerduty", "webhook", "alertmanager"])
async def test_every_kind_of_channel_can_be_tested(shell: Shell, receiver: Receiver, form: str) -> None:
    """With the severity that is asked for."""
    shell.configure(channel(form, receiver.url()))
    told = await shell.json("test", "on-call", "--severity", "critical")
    assert told["status"] == "delivered"
    assert b'"critical"' in receiver.received[0].body


async def test_a_test_that_does_not_arrive_says_why(shell: Shell, receiver: Receiver) -> None:
    """It is tried once and is never sent later; the exit code is 1."""
    shell.configure(channel("slack", receiver.url()))
    receiver.behaviour = saying(answer(503, b"try later", Retry_After="0"), OK)
    code, _, said = await shell.run("test", "on-call")
    assert code == 1
    assert "did not arrive: HTTP 503: try later." in said
    assert await shell.json("deliver") == {"delivered": 0, "again": 0, "dead": 0}
    shell.configure(channel("slack", receiver.url()), MONITORING_EGRESS_ALLOWED="[]")
    told = await shell.json("test", "on-call", code=1)
    assert "MONITORING_EGRESS_ALLOWED" in told["error"]
    assert len(receiver.received) == 1


async def test_a_test_may_be_taken_by_a_sender_that_runs(
    memory: Records, home: Home, receiver: Receiver
) -> None:
    """Whoever takes it, it is sent once, and its attempt is waited for."""
    told = channel("slack", receiver.url())
    made = settings(told)
    over = asyncio.Event()

    async def serving() -> None:
        while not over.is_set():
            await send_due(memory, made, now=after(0))

    async with asyncio.TaskGroup() as group:
        group.create_task(serving())
        for number in range(1, 6):
            found = await tried(memory, made, home, told, severity=Severity.INFO, now=after(0))
            assert (found.status, found.attempts) == ("delivered", 1)
            assert len(receiver.received) == number
        over.set()


async def test_dead_letters_are_seen_and_sent_again(
    shell: Shell, receiver: Receiver, memory: Records
) -> None:
    """Each by its id or all at once; what a later change has overtaken is left."""
    told = channel("webhook", receiver.url())
    shell.configure(told)
    receiver.behaviour = saying(answer(404, b"gone"), answer(404, b"gone"), OK)
    first, second = await queued(memory, told, Change.OPENED, Change.RESOLVED)
    assert await shell.json("deliver") == {"delivered": 0, "again": 0, "dead": 2}
    dead = await shell.json("deliveries", "--dead")
    assert [(each["id"], each["status"], each["error"]) for each in dead] == [
        (str(second), "dead", "HTTP 404: gone"),
        (str(first), "dead", "HTTP 404: gone"),
    ]
    code, printed, said = await shell.run("deliveries", "--dead")
    assert code == 0
    assert "  on-call  opened    dead, tried once: HTTP 404: gone\n" in printed
    assert f"{first}  2026-03-01 12:00:00" in printed
    assert "sluice alerts resend --all-dead" in said
    assert await shell.json("resend", str(second)) == {"queued": 1}
    assert await shell.json("deliver") == {"delivered": 1, "again": 0, "dead": 0}
    problem = await shell.json("resend", str(first), code=1)
    assert problem["code"] == "delivery_overtaken"
    assert await shell.json("resend", "--all-dead") == {"queued": 0}
    assert (await shell.json("resend", str(uuid4()), code=1))["code"] == "record_missing"


async def test_what_is_typed_wrong_is_refused(shell: Shell, receiver: Receiver) -> None:
    """With the exit code 2 and what to do next."""
    shell.configure(channel("slack", receiver.url()))
    for arguments, words in (
        (("test", "nobody"), "Configured are: on-call."),
        (("resend",), "Give its ID, or --all-dead."),
        (("resend", "1", "--all-dead"), "Give its ID, or --all-dead."),
        (("resend", "not-an-id"), "lists them"),
    ):
        code, _, said = await shell.run(*arguments)
        assert code == 2
        assert words in said
    shell.configure()
    for arguments in (("test", "on-call"), ("deliver",)):
        code, _, said = await shell.run(*arguments)
        assert code == 2
        assert "Set MONITORING_CHANNELS" in said
    assert receiver.connections == 0


async def test_deliver_is_one_pass_over_every_channel(
    shell: Shell, receiver: Receiver, memory: Records
) -> None:
    """It says what became of the messages, and shows no secret."""
    one, two = channel("slack", receiver.url(), name="one"), channel("slack", receiver.url(), name="two")
    shell.configure(one)
    await queued(memory, (one, two))
    code, printed, said = await shell.run("deliver")
    assert code == 0
    assert "Delivered: 1. To be tried again: 0. Given up: 1." in said
    _, listed, _ = await shell.run("deliveries")
    assert "the-secret-of-the-path" not in printed + said + listed


async def test_what_was_received_is_listed_as_such(shell: Shell, memory: Records) -> None:
    """It stands in the same table, and was sent to nobody."""
    shell.configure()
    assert (await shell.run("deliveries"))[1] == "No message.\n"
    async with memory.transaction() as session:
        assert await receipts.take(session, "message-1", change="opened", payload={}, now=after(0))
    _, listed, _ = await shell.run("deliveries")
    assert listed.endswith("  2026-03-01 12:00:00  hooks/drift  opened  received\n")
