"""Who gets into the console, for how long, and what keeps others out."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from contracts import gateway as paths
from contracts.monitoring import CONSOLE
from kit.api_keys import key_format, keys_file
from kit.api_keys.keys import with_revoked, with_rotated
from kit.home import Home
from monitoring.console import seals
from monitoring.console.people import SIGN_IN_SECONDS, WRONG_KEYS_PER_MINUTE, People
from monitoring.console.routes import routes
from monitoring.console.site import COOKIE
from monitoring.errors import SignInRefused
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records
from tests.monitoring.console.conftest import HERE, client, field, key, sign_in

PAGES = (
    "/", "/overview", "/alerts", "/alerts/01a1ffaa-da57-7cc0-8a54-35b41913ff2b", "/drift",
    "/drift/production/spam-detector", "/promotions", "/runs", "/dead-letters", "/reports/drift/x.html",
)  # fmt: skip
FORMS = (
    "/sign-out", "/dead-letters/01a1ffaa-da57-7cc0-8a54-35b41913ff2b/resend",
    *(
        f"/alerts/01a1ffaa-da57-7cc0-8a54-35b41913ff2b/{act}"
        for act in ("acknowledge", "mute", "unmute", "resolve")
    ),
)  # fmt: skip
ELSEWHERE = (
    "https://evil.example", "//evil.example", "/console//evil.example", "/\\evil.example",
    "javascript:alert(1)", "/console/../v1", "/console/\nx", "/hooks/drift", "/console", "/console/\u00fc",
    "/console/#x",
)  # fmt: skip


async def test_without_a_sign_in_every_page_leads_to_it_and_back(visitor: httpx.AsyncClient) -> None:
    """And shows nothing."""
    for page in PAGES:
        answer = await visitor.get(f"{CONSOLE}{page}?days=7")
        assert answer.status_code == 303, page
        assert answer.content == b""
        assert answer.headers["location"].startswith(f"{CONSOLE}/sign-in?next=")
        form = await visitor.get(answer.headers["location"])
        assert field(form, "next") == f"{CONSOLE}{page}?days=7"


async def test_without_a_sign_in_no_form_is_taken(visitor: httpx.AsyncClient) -> None:
    """Whoever sends one is asked to sign in."""
    for page in FORMS:
        answer = await visitor.post(f"{CONSOLE}{page}", data={"reason": "because"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{CONSOLE}/sign-in"), page


async def test_a_key_of_an_admin_opens_the_page_that_was_asked_for(
    visitor: httpx.AsyncClient, admin_key: str
) -> None:
    """The cookie is out of reach of scripts and of other sites."""
    answer = await sign_in(visitor, admin_key, target=f"{CONSOLE}/runs?page=2")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{CONSOLE}/runs?page=2")
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith(COOKIE))
    assert {"HttpOnly", "SameSite=strict", f"Path={CONSOLE}", "Max-Age=28800"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    page = await visitor.get(f"{CONSOLE}/runs")
    assert page.status_code == 200
    assert ">ann<" in page.text


@pytest.mark.parametrize("settings", [MonitoringSettings.load(public_url="https://console.example.com")])
async def test_behind_https_the_cookie_is_secure(visitor: httpx.AsyncClient, admin_key: str) -> None:
    """Settings say so even if TLS ends at a proxy."""
    answer = await sign_in(visitor, admin_key)
    assert all(
        "; Secure" in cookie for cookie in answer.headers.get_list("set-cookie") if '=""' not in cookie
    )


async def test_nobody_is_led_elsewhere(visitor: httpx.AsyncClient, admin_key: str) -> None:
    """What is no page of the console becomes its first one, in the form and after it."""
    for target in ELSEWHERE:
        page = await visitor.get(f"{CONSOLE}/sign-in", params={"next": target})
        assert field(page, "next") == f"{CONSOLE}/", target
        async with client_like(visitor) as other:
            page = await other.get(f"{CONSOLE}/sign-in")
            fields = {"token": field(page, "token"), "next": target, "key": admin_key}
            answer = await other.post(f"{CONSOLE}/sign-in", data=fields)
            assert answer.headers["location"] == f"{CONSOLE}/", target


async def test_who_may_not_is_told_why_and_no_key_is_shown(parts: Parts, home: Home) -> None:
    """Keys that are unknown, revoked, expired or of no admin; none of them stands in page or log."""
    soon = datetime.now(UTC) - timedelta(seconds=1)
    revoked = key(home, "gone")
    keys_file.change(
        paths.keys_file(home.root), lambda former: with_revoked(former, "gone", datetime.now(UTC))
    )
    old, other = key(home, "old", expires=soon), key(home, "client", admin=False)
    with capture_logs() as logs:
        for text, told in (
            (key_format.new_key(key_format.new_id()), "Nobody has this key"),
            (revoked, "is revoked"),
            (old, "is expired"),
            (other, "is not an admin&#39;s"),
            ("<script>alert(1)</script>", "Nobody has this key"),
            ("", "Nobody has this key"),
            ("ü" * 5000, "Nobody has this key"),
        ):
            async with client(Starlette(routes=routes(parts))) as visitor:
                answer = await sign_in(visitor, text)
                assert COOKIE not in visitor.cookies
            assert answer.status_code == 401
            assert told in answer.text
            assert not text or text not in answer.text
            assert not text or text not in repr(logs)


async def test_wrong_keys_are_slowed_and_a_right_one_is_let_in(app: Starlette, admin_key: str) -> None:
    """By address, so that others are not kept out."""
    async with client(app) as one, client(app, address="192.0.2.8") as other:
        for _ in range(WRONG_KEYS_PER_MINUTE):
            assert (await sign_in(one, "wrong")).status_code == 401
        answer = await sign_in(one, "wrong")
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert (await sign_in(other, "wrong")).status_code == 401
        assert (await sign_in(one, admin_key)).status_code == 303


async def test_no_other_page_can_sign_anybody_in(visitor: httpx.AsyncClient, admin_key: str) -> None:
    """The form must be one that this browser was given."""
    page = await visitor.get(f"{CONSOLE}/sign-in")
    token = field(page, "token")
    for fields in ({"key": admin_key}, {"key": admin_key, "token": token[:-1]}):
        answer = await visitor.post(f"{CONSOLE}/sign-in", data=fields)
        assert answer.status_code == 401
        assert "too old" in answer.text
    async with client_like(visitor) as other:
        answer = await other.post(f"{CONSOLE}/sign-in", data={"key": admin_key, "token": token})
        assert answer.status_code == 401


async def test_sign_out_ends_the_session_for_every_copy_of_its_cookie(ann: httpx.AsyncClient) -> None:
    """Not only in this browser."""
    page = await ann.get(f"{CONSOLE}/")
    copy = dict(ann.cookies)
    answer = await ann.post(f"{CONSOLE}/sign-out", data={"token": field(page, "token")})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{CONSOLE}/sign-in")
    assert (await ann.get(f"{CONSOLE}/")).status_code == 303
    async with client_like(ann) as thief:
        thief.cookies.update(copy)
        assert (await thief.get(f"{CONSOLE}/")).status_code == 303


async def test_a_key_that_is_revoked_or_replaced_ends_its_sessions(parts: Parts, home: Home) -> None:
    """A rotation without a grace too: it is what one does with a key that leaked."""
    path = paths.keys_file(home.root)
    former, rotated, kept = key(home, "a"), key(home, "b"), key(home, "c")
    people = People(parts)
    cookies = [people.sign_in(text, "") for text in (former, rotated, kept)]
    assert [getattr(people.known(cookie), "name", None) for cookie in cookies] == ["a", "b", "c"]
    now = datetime.now(UTC)
    keys_file.change(path, lambda keys: with_revoked(keys, "a", now))
    keys_file.change(path, lambda keys: with_rotated(keys, "b", timedelta(0), now))
    keys_file.change(path, lambda keys: with_rotated(keys, "c", timedelta(hours=1), now))
    again = People(parts)
    assert [getattr(again.known(cookie), "name", None) for cookie in cookies] == [None, None, "c"]
    assert again.known(cookies[2], now=now + timedelta(hours=2)) is None


async def test_a_running_console_sees_a_revoked_key(ann: httpx.AsyncClient, home: Home) -> None:
    """Within a second."""
    assert (await ann.get(f"{CONSOLE}/runs")).status_code == 200
    keys_file.change(paths.keys_file(home.root), lambda keys: with_revoked(keys, "ann", datetime.now(UTC)))
    for _ in range(600):
        if (await ann.get(f"{CONSOLE}/runs")).status_code == 303:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("the key was revoked, and still opened the console a minute later")


def test_a_session_and_a_sign_in_page_have_an_end(parts: Parts, home: Home) -> None:
    """To the second."""
    text = key(home)
    people = People(parts)
    now = datetime.now(UTC).replace(microsecond=0)
    cookie = people.sign_in(text, "", now=now)
    end = now + timedelta(seconds=people.lasts_seconds)
    assert people.known(cookie, now=end - timedelta(seconds=1)) is not None
    assert people.known(cookie, now=end) is None
    form = people.form(now=now)
    people.require_form(form, form, now=now + timedelta(seconds=SIGN_IN_SECONDS - 1))
    with pytest.raises(SignInRefused):
        people.require_form(form, form, now=now + timedelta(seconds=SIGN_IN_SECONDS))


def test_a_cookie_that_was_touched_is_none(parts: Parts, admin_key: str) -> None:
    """Changed, cut, made with another secret, sealed for another purpose, or nothing at all."""
    people = People(parts)
    cookie = people.sign_in(admin_key, "")
    body, _, mark = cookie.partition(".")
    foreign = seals.sealed(b"another secret", "session", {"session": "x"})
    for wrong in (
        "", ".", cookie[:-1], f"{body[:-4]}AAAA.{mark}", f"{body}.{'0' * 64}", body, f".{mark}", cookie + "0",
        foreign, people.form(), "ü.ü", "x" * 10_000, f"{body}.{mark}.{mark}",
    ):  # fmt: skip
        assert people.known(wrong) is None, wrong


def test_the_secret_is_made_once_and_private(parts: Parts, home: Home, admin_key: str) -> None:
    """Two processes of one machine know each other's sessions; a setting stands above the file."""
    cookie = People(parts).sign_in(admin_key, "")
    assert People(parts).known(cookie) is not None
    path = home.root / "monitoring" / "console.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes().strip()) == 64


@pytest.mark.parametrize("settings", [MonitoringSettings.load(session_secret="s" * 32)])
def test_a_secret_of_the_settings_is_used(parts: Parts, home: Home, admin_key: str) -> None:
    """Several processes at one address share it."""
    cookie = People(parts).sign_in(admin_key, "")
    assert seals.unsealed(b"s" * 32, "session", cookie) is not None
    assert not (home.root / "monitoring" / "console.secret").exists()


async def test_a_link_from_elsewhere_finds_the_session_by_a_detour(
    app: Starlette, visitor: httpx.AsyncClient
) -> None:
    """A strict cookie is held back when a chat leads here; a page of ours leads on, once."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await visitor.get(f"{CONSOLE}/alerts?show=all&page=2", headers=headers)
    assert answer.status_code == 200
    assert 'content="0; url=/console/alerts?show=all&amp;page=2"' in answer.text
    again = await visitor.get(f"{CONSOLE}/alerts", headers={"Sec-Fetch-Site": "same-origin"})
    assert again.status_code == 303
    async with client(app) as expired:
        expired.cookies.set(COOKIE, "old", domain="console.test", path=CONSOLE)
        assert (await expired.get(f"{CONSOLE}/alerts", headers=headers)).status_code == 303


async def test_the_part_that_renews_itself_leads_to_the_sign_in_when_the_session_is_over(
    visitor: httpx.AsyncClient,
) -> None:
    """And does not put the sign-in page into the page."""
    answer = await visitor.get(f"{CONSOLE}/overview", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, f"{CONSOLE}/sign-in")
    assert answer.content == b""


async def test_every_answer_says_what_a_browser_may_do(
    visitor: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    """Scripts only from our own files, no frame, nothing kept."""
    for answer in (
        await visitor.get(f"{CONSOLE}/sign-in"),
        await visitor.get(f"{CONSOLE}/"),
        await ann.get(f"{CONSOLE}/"),
        await ann.get(f"{CONSOLE}/nothing"),
        await ann.post(f"{CONSOLE}/sign-out", data={"token": "wrong"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", answer.text)


async def test_broken_keys_are_told_at_the_start_and_without_keys_nobody_gets_in(
    parts: Parts, home: Home, records: Records
) -> None:
    """A console without a file of keys starts: the gateway may make one later."""
    from kit.api_keys.keys_file import KeysUnreadable

    elsewhere = home.root / "keys.json"
    elsewhere.write_text("{", encoding="utf-8")
    settings = MonitoringSettings.load(keys_file=elsewhere)
    with pytest.raises(KeysUnreadable):
        routes(Parts(settings=settings, home=home, records=records, measures=Measures()))
    async with client(Starlette(routes=routes(parts))) as visitor:
        assert (await sign_in(visitor, key_format.new_key("0123456789"))).status_code == 401


def client_like(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """Another browser at the same console."""
    return httpx.AsyncClient(transport=browser._transport, base_url=HERE)
