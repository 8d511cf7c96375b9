"""The console in a real Chromium: with and without JavaScript, on a phone, in the dark, to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette

from contracts import gateway as paths
from contracts.monitoring import CONSOLE
from contracts.tensors import SPAM_DETECTOR
from kit.api_keys import keys_file
from kit.api_keys.keys import with_revoked
from kit.home import Home
from monitoring.console.routes import routes
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.repositories import alerts
from tests.kit import debian
from tests.monitoring.conftest import connect
from tests.monitoring.console import filling
from tests.monitoring.console.browser import Browser, Page, opened
from tests.monitoring.console.conftest import key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("monitoring-console")]

PAGES = (
    "/", "/alerts", "/alerts?show=all", "/drift", f"/drift/production/{SPAM_DETECTOR}", "/promotions",
    "/runs", "/dead-letters",
)  # fmt: skip


@dataclass(frozen=True)
class Stand:
    """A console that listens, and a browser."""

    url: str
    key: str
    parts: Parts
    browser: Browser

    async def alert(self, family: str) -> UUID:
        """Makes an open alert."""
        parts = self.parts
        now = datetime.now(UTC) - timedelta(minutes=5)
        return await filling.alert(parts.records, parts.settings, parts.home, now, family=family)

    async def acknowledged_by(self, alert_id: UUID) -> list[str]:
        """Who acknowledged an alert."""
        async with self.parts.records.reading() as session:
            alert = await alerts.by_id(session, alert_id)
        assert alert is not None
        return [each["actor"] for each in alert.history if each["action"] == "acknowledged"]

    async def signed_in(self, page: Page, text: str = "") -> None:
        """Signs in as a person does: by writing the key and pressing the button."""
        await page.go(self.url)
        await page.write("#key", text or self.key)
        await page.click("button.main")
        await page.until("document.title.startsWith('Overview') && document.readyState === 'complete'")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """One console with full records, and one browser, for all tests here."""
    program = debian.program("chromium")
    home = Home(tmp_path_factory.mktemp("console"))
    home.records.write_bytes((machine / home.records.name).read_bytes())
    settings = MonitoringSettings.load(channels=filling.CHANNELS)
    records = connect(home.records)
    parts = Parts(settings=settings, home=home, records=records, measures=Measures())
    await filling.everything(records, settings, home)
    text = key(home)
    app = Starlette(routes=routes(parts))
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False)
    )
    serving = asyncio.create_task(server.serve())
    for _ in range(6000):
        if server.started:
            break
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with opened(program, tmp_path_factory.mktemp("chromium")) as browser:
            yield Stand(f"http://127.0.0.1:{port}{CONSOLE}", text, parts, browser)
    finally:
        server.should_exit = True
        await serving
        await records.close()


async def test_an_alert_is_acknowledged_by_a_click(stand: Stand) -> None:
    """The page says so in its place, without being loaded anew."""
    alert_id = await stand.alert("clicked")
    page = await stand.browser.page()
    await stand.signed_in(page)
    await page.click(f"#alert-{alert_id}")
    await page.until("document.querySelector('#acknowledge-reason') && document.readyState === 'complete'")
    await page.says("window.same = 'page'")
    await page.write("#acknowledge-reason", "on it <b>now</b>")
    await page.click("form[action$=acknowledge] button")
    await page.until("(document.querySelector('[role=status]')?.textContent ?? '').includes('Acknowledged')")
    assert await page.says("window.same") == "page"
    assert await page.says("document.activeElement.getAttribute('role')") == "status"
    assert "on it <b>now</b>" in await page.says("document.querySelector('.history').textContent")
    assert await stand.acknowledged_by(alert_id) == ["ann"]
    assert page.complaints == []


async def test_all_of_it_works_without_javascript(stand: Stand) -> None:
    """Signing in, reading, acknowledging, resolving, signing out."""
    alert_id = await stand.alert("scriptless")
    page = await stand.browser.page()
    await page.without_scripts()
    await stand.signed_in(page)
    assert await page.says("document.querySelectorAll('svg[role=img]').length") == 4
    for act in ("acknowledge", "resolve"):
        await page.go(f"{stand.url}/alerts/{alert_id}")
        await page.write(f"#{act}-reason", "by hand")
        await page.click(f"form[action$={act}] button")
        await page.until("(document.querySelector('[role=status]')?.textContent ?? '') !== ''")
    assert await page.says("document.querySelector('.head').textContent.includes('resolved')")
    assert await stand.acknowledged_by(alert_id) == ["ann"]
    await page.click(".who button")
    await page.until("document.title.startsWith('Sign in')")
    assert page.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_page_fits_a_phone_and_asks_nobody_else(stand: Stand, *, dark: bool) -> None:
    """At 360 pixels nothing is wider than the window; every request goes to us; nothing is complained of."""
    page = await stand.browser.page()
    await page.size(360, 740, phone=True)
    if dark:
        await page.dark()
    await stand.signed_in(page)
    grounds = set()
    for path in (*PAGES, f"/alerts/{await stand.alert('a' * 100)}"):
        await page.go(f"{stand.url}{path}")
        assert await page.says("document.documentElement.scrollWidth") <= 360, path
        grounds.add(await page.says("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(15, 20, 27)" if dark else "rgb(244, 246, 249)"}
    host = stand.url.removesuffix(CONSOLE)
    assert page.requests
    assert [url for url in page.requests if not url.startswith(f"{host}/")] == []
    assert page.complaints == []


async def test_text_stands_out_from_its_ground(stand: Stand) -> None:
    """By 4.5 to 1 or more (WCAG 2, 1.4.3), in light and dark."""
    page = await stand.browser.page()
    await stand.signed_in(page)
    for _ in range(2):
        for path in PAGES:
            await page.go(f"{stand.url}{path}")
            assert await page.says(_FAINT) == [], path
        await page.dark()


async def test_the_overview_renews_itself_where_it_is_read(stand: Stand) -> None:
    """A new alert appears; who stands on a link stays on it, and an open table stays open."""
    page = await stand.browser.page()
    await stand.signed_in(page)
    table = f"traffic-{SPAM_DETECTOR}-production-values"
    await page.click(f"#{table} summary")
    await page.says("document.querySelector('#drift-1').focus()")
    await page.says("window.former = document.querySelector('#drift-1')")
    alert_id = await stand.alert("fresh")
    async with asyncio.timeout(60):
        while not await page.says(f"document.querySelector('#alert-{alert_id}') !== null"):
            await page.says("htmx.trigger('#lately', 'renew')")
            await asyncio.sleep(0.3)
    assert await page.says("window.former.isConnected") is False
    assert await page.says("document.activeElement.id") == "drift-1"
    assert await page.says(f"document.querySelector('#{table}').open") is True
    assert page.complaints == []


async def test_the_overview_says_when_the_console_is_gone_and_leads_to_the_sign_in(stand: Stand) -> None:
    """What it cannot renew it does not show as new; whose key is revoked sees no more."""
    text = key(stand.parts.home, "guest")
    page = await stand.browser.page()
    async with asyncio.timeout(60):
        while True:
            await page.go(stand.url)
            await page.write("#key", text)
            await page.click("button.main")
            await page.until("document.querySelector('[role=alert], #lately') !== null")
            if await page.says("document.querySelector('#lately') !== null"):
                break
    await page.ask(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )
    assert await page.says("document.querySelector('#stale').hidden")
    await page.says("htmx.trigger('#lately', 'renew')")
    await page.until("!document.querySelector('#stale').hidden")
    await page.ask(
        "Network.emulateNetworkConditions",
        offline=False,
        latency=0,
        downloadThroughput=-1,
        uploadThroughput=-1,
    )
    await page.says("htmx.trigger('#lately', 'renew')")
    await page.until("document.querySelector('#stale').hidden")
    keys_file.change(
        paths.keys_file(stand.parts.home.root), lambda keys: with_revoked(keys, "guest", datetime.now(UTC))
    )
    async with asyncio.timeout(60):
        while not await page.says("document.title.startsWith('Sign in')"):
            await page.says("window.htmx?.trigger('#lately', 'renew')")
            await asyncio.sleep(0.2)


async def test_a_report_draws_itself_and_reaches_nothing(stand: Stand) -> None:
    """Its script runs, and has neither an origin nor the cookie."""
    page = await stand.browser.page()
    await stand.signed_in(page)
    await page.go(f"{stand.url}/{filling.REPORT}")
    assert await page.says("document.querySelector('#p').textContent") == "drawn"
    assert await page.says("self.origin") == "null"
    assert await page.says("(() => { try { return document.cookie; } catch (e) { return e.name; } })()") == (
        "SecurityError"
    )
    assert await page.says(f"fetch('{stand.url}/').then(() => 'reached', () => 'refused')") == "refused"


async def test_a_link_from_a_chat_finds_the_session(stand: Stand, tmp_path: Path) -> None:
    """Though the browser holds the cookie back at first."""
    page = await stand.browser.page()
    await stand.signed_in(page)
    chat = tmp_path / "chat.html"
    chat.write_text(f"<a href='{stand.url}/runs'>look</a>", encoding="utf-8")
    await page.go(f"file://{chat}")
    await page.click("a")
    await page.until("document.title.startsWith('Runs')")
    other = stand.url.replace("127.0.0.1", "localhost")
    await page.go(f"{other}/sign-in")
    await page.says(f"location.href = '{stand.url}/promotions'")
    await page.until("document.title.startsWith('Promotions')")


_FAINT = """
(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = channels(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const unseen = ["SCRIPT", "NOSCRIPT", "title", "desc"].includes(e.tagName) || !e.getClientRects().length;
    if (!own || unseen) continue;
    const drawn = e instanceof SVGElement;
    const text = channels(getComputedStyle(e)[drawn ? "fill" : "color"]);
    const [a, b] = [light(text), light(ground(drawn ? e.closest("figure") : e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${e.tagName} ${ratio.toFixed(2)} ${e.textContent.trim().slice(0, 30)}`);
  }
  return faint;
})()
"""
