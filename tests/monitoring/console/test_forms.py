"""What people do in the console: it stands in the books with their names, and nobody does it for them."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser
from starlette.applications import Starlette

from contracts.monitoring import CONSOLE
from kit.home import Home
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts, deliveries
from records.tables import MonitoringAlert
from records.tables.webhook_deliveries import DeliveryStatus
from tests.monitoring.console import filling
from tests.monitoring.console.conftest import client, field, first, sign_in

REASON = "looking into <it> & 'more'"


@pytest.fixture
async def alert_id(records: Records, settings: MonitoringSettings, home: Home) -> UUID:
    """One open alert."""
    return await filling.alert(records, settings, home, datetime.now(UTC))


async def stored(records: Records, alert_id: UUID) -> MonitoringAlert:
    """The alert as it stands in the records."""
    async with records.reading() as session:
        alert = await alerts.by_id(session, alert_id)
    assert alert is not None
    return alert


async def send(browser: httpx.AsyncClient, alert_id: UUID, act: str, **fields: str) -> httpx.Response:
    """Fills in a form of the alert's page and sends it."""
    page = await browser.get(f"{CONSOLE}/alerts/{alert_id}")
    data = {"token": field(page, "token"), "reason": REASON} | fields
    return await browser.post(f"{CONSOLE}/alerts/{alert_id}/{act}", data=data)


def badges(page: httpx.Response) -> str:
    """What the head of an alert's page says of its state."""
    return first(LexborHTMLParser(page.text), ".head").text()


async def test_an_alert_is_acknowledged_by_who_is_signed_in(
    ann: httpx.AsyncClient, records: Records, alert_id: UUID
) -> None:
    """With the reason; the channels that heard of it are told."""
    answer = await send(ann, alert_id, "acknowledge", actor="mallory")
    assert answer.status_code == 303
    page = await ann.get(answer.headers["location"])
    assert "Acknowledged. Whoever heard of it" in page.text
    alert = await stored(records, alert_id)
    assert alert.acknowledged_at is not None
    assert [(each["actor"], each["reason"]) for each in alert.history] == [("ann", REASON)]
    async with records.reading() as session:
        told = await deliveries.of_alert(session, alert_id)
    assert sorted(each.change for each in told) == ["acknowledged", "acknowledged", "opened", "opened"]
    assert LexborHTMLParser(page.text).css_first("form[action$=acknowledge]") is None


async def test_an_alert_is_muted_for_a_time_and_the_mute_is_ended(
    ann: httpx.AsyncClient, records: Records, alert_id: UUID
) -> None:
    """Only for the times that the list has."""
    before = datetime.now(UTC)
    for wrong in ("", "2h", "9999999d", "-1h"):
        assert (await send(ann, alert_id, "mute", **{"for": wrong})).status_code == 400
    assert (await stored(records, alert_id)).muted_until is None
    assert (await send(ann, alert_id, "mute", **{"for": "4h"})).status_code == 303
    until = (await stored(records, alert_id)).muted_until
    assert until is not None
    assert 4 * 3600 <= (until - before).total_seconds() < 4 * 3600 + 60
    page = await ann.get(f"{CONSOLE}/alerts/{alert_id}")
    assert "muted until" in badges(page)
    assert (await send(ann, alert_id, "unmute")).status_code == 303
    page = await ann.get(f"{CONSOLE}/alerts/{alert_id}")
    assert "muted" not in badges(page)
    assert "ann" in first(LexborHTMLParser(page.text), ".history").text()


async def test_a_resolved_alert_has_no_forms_and_takes_none(
    ann: httpx.AsyncClient, records: Records, alert_id: UUID
) -> None:
    """A form of a page that is older than the end is told so."""
    token = field(await ann.get(f"{CONSOLE}/alerts/{alert_id}"), "token")
    assert (await send(ann, alert_id, "resolve")).status_code == 303
    assert (await stored(records, alert_id)).resolved_at is not None
    page = LexborHTMLParser((await ann.get(f"{CONSOLE}/alerts/{alert_id}")).text)
    assert not page.css("form.act")
    late = await ann.post(
        f"{CONSOLE}/alerts/{alert_id}/acknowledge", data={"token": token, "reason": "too late"}
    )
    assert late.status_code == 404
    assert "no open alert" in late.text
    none = await ann.post(f"{CONSOLE}/alerts/{uuid4()}/resolve", data={"token": token, "reason": "x"})
    assert none.status_code == 404


@pytest.mark.parametrize("reason", ["", "   ", "\u200b\u2060"])
async def test_nothing_is_done_without_a_reason(
    ann: httpx.AsyncClient, records: Records, alert_id: UUID, reason: str
) -> None:
    """Nor with one that nobody can see."""
    answer = await send(ann, alert_id, "acknowledge", reason=reason)
    assert answer.status_code == 400
    assert "reason" in answer.text
    assert (await stored(records, alert_id)).acknowledged_at is None


async def test_a_reason_of_any_kind_is_kept_as_text(
    ann: httpx.AsyncClient, records: Records, alert_id: UUID
) -> None:
    """Long, of many lines, of other scripts, with markup: cut, in one line, and escaped."""
    reason = "<script>alert(1)</script>\r\n\x00 \u202emore \U0001f600 " + "long " * 1000
    assert (await send(ann, alert_id, "acknowledge", reason=reason)).status_code == 303
    kept = (await stored(records, alert_id)).history[0]["reason"]
    assert len(kept) == 2000
    assert not set(kept) & {"\n", "\x00", "\u202e"}
    page = await ann.get(f"{CONSOLE}/alerts/{alert_id}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


async def test_only_a_form_of_this_session_is_taken(
    app: Starlette, ann: httpx.AsyncClient, admin_key: str, records: Records, alert_id: UUID
) -> None:
    """None without a token, of another session, of another site, or of another kind."""
    address = f"{CONSOLE}/alerts/{alert_id}/resolve"
    token = field(await ann.get(f"{CONSOLE}/alerts/{alert_id}"), "token")
    async with client(app) as other:
        await sign_in(other, admin_key)
        foreign = field(await other.get(f"{CONSOLE}/alerts/{alert_id}"), "token")
    assert foreign != token
    good = {"token": token, "reason": "mended"}
    for data in ({"reason": "x"}, good | {"token": foreign}, good | {"token": ""}, good | {"token": "ü"}):
        assert (await ann.post(address, data=data)).status_code == 403
    for site in ("cross-site", "same-site"):
        answer = await ann.post(address, data=good, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    assert (await ann.post(address, json=good)).status_code == 400
    assert (await ann.post(address, data=good, files={"f": b"x"})).status_code == 400
    assert (await ann.get(address, params=good)).status_code == 404
    assert (await stored(records, alert_id)).resolved_at is None
    assert (await ann.post(address, data=good, headers={"Sec-Fetch-Site": "same-origin"})).status_code == 303


@pytest.mark.parametrize(
    "body",
    [
        b"", b"&" * 1000, b"\xff\xfe=\xff", b"reason=a&reason=b&token=x", b"a=b&" * 30,
        b"reason=" + b"x" * 40_000, b"%00=%00", b"{}",
    ],
    ids=["empty", "ands", "bytes", "twice", "many", "large", "nul", "json"],
)  # fmt: skip
async def test_a_form_that_is_none_is_refused(ann: httpx.AsyncClient, alert_id: UUID, body: bytes) -> None:
    """Before anything of it is believed."""
    answer = await ann.post(
        f"{CONSOLE}/alerts/{alert_id}/resolve",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code in (400, 403)
    assert "To the overview" in answer.text


async def test_a_dead_letter_is_sent_once_more(
    ann: httpx.AsyncClient, records: Records, alert_id: UUID
) -> None:
    """Once; the page says that it is on its way."""
    delivery_id = await filling.given_up(records, datetime.now(UTC), error="<b>refused</b>")
    page = await ann.get(f"{CONSOLE}/dead-letters")
    assert "&lt;b&gt;refused&lt;/b&gt;" in page.text
    token = field(page, "token")
    address = f"{CONSOLE}/dead-letters/{delivery_id}/resend"
    answer = await ann.post(address, data={"token": token})
    assert answer.status_code == 303
    assert "Queued once more" in (await ann.get(answer.headers["location"])).text
    async with records.reading() as session:
        again = await deliveries.by_id(session, delivery_id)
    assert again is not None
    assert (again.status, again.attempts) == (DeliveryStatus.PENDING, 0)
    assert (await ann.post(address, data={"token": token})).status_code == 404
    assert (
        await ann.post(f"{CONSOLE}/dead-letters/{uuid4()}/resend", data={"token": token})
    ).status_code == 404
