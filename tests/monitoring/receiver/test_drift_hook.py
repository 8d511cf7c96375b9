"""POST /hooks/drift over a real wire: what is believed, what is not, and that a message counts once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from contracts.monitoring import HOOK_DRIFT
from kit.home import Home
from kit.settings import SettingsError
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.receiver.drift_hook import BODY_BYTES
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import deliveries, runs
from records.tables import ExperimentRun, WebhookDelivery
from records.tables.webhook_deliveries import DeliveryStatus
from tests.monitoring.conftest import connect
from tests.monitoring.hooks import NEXT_SECRET, OTHER_SECRET, SECRET, counted, event, post, served, signed

BODY = event().model_dump_json().encode()
HOOKS = "sluice_hooks_total"


class Hook(NamedTuple):
    """A running receiver."""

    address: str
    parts: Parts


def parts_of(home: Home, records: Records, **changed: Any) -> Parts:
    """Returns the parts of a process whose hook knows two secrets and whose loop starts nothing."""
    values: dict[str, Any] = {"hook_secrets": (SecretStr(SECRET), SecretStr(NEXT_SECRET))}
    return Parts(MonitoringSettings.load(**(values | changed)), home, records, Measures())


@pytest.fixture
async def hook(home: Home, records: Records) -> AsyncIterator[Hook]:
    """A receiver with two secrets."""
    parts = parts_of(home, records)
    async with served(parts) as address:
        yield Hook(address, parts)


async def kept(records: Records) -> int:
    """Returns how many messages are remembered."""
    async with records.reading() as session:
        return await session.scalar(select(func.count()).select_from(WebhookDelivery)) or 0


async def test_a_signed_event_is_accepted_with_its_decision(hook: Hook) -> None:
    """202 and the reason; it is counted, and remembered as delivered, so that no sender takes it."""
    answer = await post(hook.address, HOOK_DRIFT, BODY, signed(BODY))
    assert answer.status_code == 202
    told = answer.json()
    assert (told["message"], told["repeated"], told["outcome"]) == ("m1", False, "off")
    assert "MONITORING_RETRAINING" in told["reason"]
    assert counted(hook.parts, HOOKS, hook="drift", outcome="accepted") == 1
    assert counted(hook.parts, "sluice_retraining_total", model="iris", outcome="off") == 1
    async with hook.parts.records.transaction() as session:
        (row,) = await session.scalars(select(WebhookDelivery))
        assert (row.channel, row.status) == ("hooks/drift", DeliveryStatus.DELIVERED)
        assert await deliveries.claim_due(session, now=row.created_at, lease=timedelta(minutes=1)) == []


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET])
async def test_each_secret_of_a_rotation_is_good(hook: Hook, secret: str) -> None:
    """So is a message that carries two signatures, of which we know one."""
    headers = signed(BODY, secret=secret)
    other = signed(BODY, secret=OTHER_SECRET)["webhook-signature"]
    headers["webhook-signature"] = f"{other} v1a,of-another-kind {headers['webhook-signature']}"
    assert (await post(hook.address, HOOK_DRIFT, BODY, headers)).status_code == 202


async def test_a_repeated_message_counts_once_across_processes_and_restarts(
    hook: Hook, home: Home, records: Records
) -> None:
    """The second receiver knows only the database; the answer is the first one's, and nothing is decided."""
    first = (await post(hook.address, HOOK_DRIFT, BODY, signed(BODY))).json()
    other = connect(home.records)
    parts = parts_of(home, other, retraining="local")
    async with served(parts) as address:
        again = await post(address, HOOK_DRIFT, BODY, signed(BODY))
    await other.close()
    assert (again.status_code, again.json()) == (202, first | {"repeated": True})
    assert counted(parts, HOOKS, hook="drift", outcome="repeated") == 1
    assert await kept(records) == 1


async def test_of_twenty_equal_messages_at_once_one_counts(hook: Hook) -> None:
    """All are answered alike."""
    answers = await asyncio.gather(*(post(hook.address, HOOK_DRIFT, BODY, signed(BODY)) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert sorted(answer.json()["repeated"] for answer in answers) == [False] + [True] * 19
    assert await kept(hook.parts.records) == 1


def changed_signature(headers: dict[str, str]) -> dict[str, str]:
    """Returns the headers with one character of the signature changed."""
    signature = headers["webhook-signature"]
    other = "A" if signature[10] != "A" else "B"
    return headers | {"webhook-signature": f"{signature[:10]}{other}{signature[11:]}"}


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    """Returns the headers without one of them."""
    return {key: value for key, value in headers.items() if key != name}


GOOD = signed(BODY)
UNSIGNED = {
    "by another secret": signed(BODY, secret=OTHER_SECRET),
    "of another body": signed(BODY + b" "),
    "of another message": GOOD | {"webhook-id": "m2"},
    "of another second": GOOD | {"webhook-timestamp": str(int(GOOD["webhook-timestamp"]) + 1)},
    "with one character changed": changed_signature(GOOD),
    "without a signature": without(GOOD, "webhook-signature"),
    "without an id": without(GOOD, "webhook-id"),
    "without a time": without(GOOD, "webhook-timestamp"),
    "with no time": GOOD | {"webhook-timestamp": "now"},
    "with a negative time": GOOD | {"webhook-timestamp": "-5"},
    "with a time beyond all calendars": GOOD | {"webhook-timestamp": "9" * 11},
    "with half a signature": GOOD | {"webhook-signature": "v1"},
    "with no base64": GOOD | {"webhook-signature": "v1,%%%"},
    "with another version": GOOD | {"webhook-signature": GOOD["webhook-signature"].replace("v1,", "v2,")},
    "with a thousand signatures": GOOD | {"webhook-signature": "v1,AAAA " * 1000 + GOOD["webhook-signature"]},
    "with an id without end": GOOD | {"webhook-id": "m" * 300},
    "with letters of elsewhere": GOOD | {"webhook-signature": "v1,\xe4\xf6"},
}


@pytest.mark.parametrize("headers", UNSIGNED.values(), ids=UNSIGNED)
async def test_a_message_whose_signature_is_wrong_is_refused(hook: Hook, headers: dict[str, str]) -> None:
    """401 as a problem document; nothing is remembered, so that a good one of the same id counts."""
    encoded: Any = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await post(hook.address, HOOK_DRIFT, BODY, encoded)
    assert (answer.status_code, answer.json()["code"]) == (401, "hook_unsigned")
    assert answer.headers["content-type"] == "application/problem+json"
    assert counted(hook.parts, HOOKS, hook="drift", outcome="unsigned") == 1
    assert await kept(hook.parts.records) == 0


@pytest.mark.parametrize(("seconds", "status"), [(-280, 202), (-330, 401), (330, 401), (280, 202)], ids=str)
async def test_a_message_of_another_time_is_refused(hook: Hook, seconds: int, status: int) -> None:
    """Five minutes either way are the bound; what is signed and old is stale, and not unsigned."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    answer = await post(hook.address, HOOK_DRIFT, BODY, signed(BODY, at=at))
    assert answer.status_code == status
    assert counted(hook.parts, HOOKS, hook="drift", outcome="stale") == (status == 401)


async def test_the_tolerance_is_a_setting(home: Home, records: Records) -> None:
    """Ten minutes old is good if an hour may be."""
    async with served(parts_of(home, records, hook_tolerance="1h")) as address:
        headers = signed(BODY, at=datetime.now(UTC) - timedelta(minutes=10))
        assert (await post(address, HOOK_DRIFT, BODY, headers)).status_code == 202


def with_fields(**changed: Any) -> bytes:
    """Returns the event as JSON with other fields."""
    return json.dumps(event().model_dump(mode="json") | changed).encode()


MALFORMED = {
    "empty": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "null": b"null",
    "a field more": with_fields(command="rm -rf /"),
    "a number for a text": with_fields(summary=5),
    "a text for a number": with_fields(occurrences="1"),
    "another kind": with_fields(kind="everything"),
    "another environment": with_fields(environment="canary"),
    "a model that is an option": with_fields(model="--help"),
    "a model that is a path": with_fields(model="../../etc"),
    "a model without end": with_fields(model="m" * 200),
    "a time without a zone": with_fields(at="2026-03-01T12:00:00"),
    "no number": BODY.replace(b"0.31", b"NaN"),
    "a hundred thousand brackets": b"[" * 100_000,
    "no UTF-8": b'{"type": "\xff"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_signed_message_that_is_no_event_is_refused(hook: Hook, body: bytes) -> None:
    """422 with the field that is wrong, and nothing is remembered."""
    answer = await post(hook.address, HOOK_DRIFT, body, signed(body))
    assert (answer.status_code, answer.json()["code"]) == (422, "hook_malformed")
    assert "rm -rf" not in answer.text
    assert ": :" not in answer.text
    assert counted(hook.parts, HOOKS, hook="drift", outcome="malformed") == 1
    assert await kept(hook.parts.records) == 0


async def test_a_huge_message_is_refused_before_it_is_read(hook: Hook) -> None:
    """By its length, and by what comes where no length is told: then the rest is never asked for."""
    huge = b"x" * (BODY_BYTES + 1)
    answer = await post(hook.address, HOOK_DRIFT, huge, signed(huge))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    host, port = hook.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {HOOK_DRIFT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(BODY_BYTES // 0x10000 + 2):  # and never the end
        writer.write(chunk)
    line = await asyncio.wait_for(reader.readline(), 60)
    assert b" 413 " in line
    writer.close()
    assert counted(hook.parts, HOOKS, hook="drift", outcome="too_large") == 2


async def test_another_content_type_or_method_is_refused(hook: Hook) -> None:
    """415 and 405; a charset is no other type."""
    form = signed(BODY) | {"content-type": "application/x-www-form-urlencoded"}
    assert (await post(hook.address, HOOK_DRIFT, BODY, form)).status_code == 415
    charset = signed(BODY) | {"content-type": "application/json; charset=utf-8"}
    assert (await post(hook.address, HOOK_DRIFT, BODY, charset)).status_code == 202
    async with httpx.AsyncClient(base_url=hook.address) as client:
        assert (await client.get(HOOK_DRIFT)).status_code == 405


async def test_without_a_secret_nothing_is_accepted(home: Home, records: Records) -> None:
    """503 that says what to set; a secret that cannot sign is refused where it is set."""
    async with served(parts_of(home, records, hook_secrets=())) as address:
        answer = await post(address, HOOK_DRIFT, BODY, signed(BODY))
    assert (answer.status_code, answer.json()["code"]) == (503, "hook_closed")
    assert "MONITORING_HOOK_SECRETS" in answer.json()["next_step"]
    for wrong in ("whsec_", "whsec_c2hvcnQ=", "no prefix", "whsec_%%%"):
        with pytest.raises(SettingsError, match="MONITORING_HOOK_SECRETS"):
            parts_of(home, records, hook_secrets=(SecretStr(wrong),))


async def test_records_that_are_away_are_said_so_and_the_next_try_counts(
    hook: Hook, home: Home, records: Records
) -> None:
    """503 leaves nothing behind, so that the sender's next attempt is no repetition."""
    away = home.records.with_suffix(".away")
    await records.close()
    for path in home.root.glob("records.db*"):
        path.rename(path.with_name(path.name.replace("records.db", away.name)))
    home.records.mkdir()
    answer = await post(hook.address, HOOK_DRIFT, BODY, signed(BODY))
    assert answer.status_code == 503
    assert counted(hook.parts, HOOKS, hook="drift", outcome="failed") == 1
    home.records.rmdir()
    for path in home.root.glob(f"{away.name}*"):
        path.rename(path.with_name(path.name.replace(away.name, "records.db")))
    again = await post(hook.address, HOOK_DRIFT, BODY, signed(BODY))
    assert (again.status_code, again.json()["repeated"]) == (202, False)


async def test_no_event_starts_a_run_while_the_loop_is_off(hook: Hook) -> None:
    """Off is the default."""
    for number in range(5):
        await post(hook.address, HOOK_DRIFT, BODY, signed(BODY, message=f"m{number}"))
    async with hook.parts.records.reading() as session:
        assert await runs.recent(session) == []
        assert await session.scalar(select(func.count()).select_from(ExperimentRun)) == 0
