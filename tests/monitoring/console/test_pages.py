"""What the pages show, of records that are full, empty, hostile or away."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import text

from contracts.environments import Environment
from contracts.monitoring import CONSOLE
from contracts.tensors import SPAM_DETECTOR
from kit.home import Home
from monitoring.console.lately import KEPT_SECONDS, Lately
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts, paged
from records.repositories.alerts import Cause
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.console import filling
from tests.monitoring.console.conftest import first

LISTS = ("/", "/alerts", "/alerts?show=all", "/drift", "/promotions", "/runs", "/dead-letters")
ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}</title></svg>"


def hostile(told: str) -> str:
    """Says it with an attack at its end, in as few characters as it has."""
    return f"{ATTACK} {told}"[:120]


async def read(browser: httpx.AsyncClient, page: str) -> LexborHTMLParser:
    """Opens a page that must be there."""
    answer = await browser.get(f"{CONSOLE}{page}")
    assert answer.status_code == 200, answer.text
    return LexborHTMLParser(answer.text)


def words(page: LexborHTMLParser) -> str:
    """What a page says, in one line."""
    assert page.body is not None
    return " ".join(page.body.text(separator=" ").split())


@pytest.fixture
async def alert_id(records: Records, settings: MonitoringSettings, home: Home) -> UUID:
    """Full records, and the id of an alert that nobody has acknowledged."""
    return await filling.everything(records, settings, home)


async def test_the_overview_shows_what_answers_where(ann: httpx.AsyncClient, alert_id: UUID) -> None:
    """Versions, traffic, latency, drift, open alerts, messages that reached nobody."""
    page = await read(ann, "/")
    told = words(page)
    for part in (
        "1 critical", "1 warning", "data drift of header, spam-detector in production", "1 dead",
        "spam-detector production version 1, since 1 d ago", "Requests 600", "Default features 8.3 %",
        "drift in header", "staging version 2", "drift not measured",
    ):  # fmt: skip
        assert part in told, part
    assert page.css_first(f"a[href='{CONSOLE}/alerts/{alert_id}']")
    assert len(page.css("#traffic-spam-detector-production-values tbody tr")) == 24
    assert len(page.css("article")[0].css("rect")) == 24
    for chart in page.css("svg[role=img]"):
        named = (chart.attributes["aria-labelledby"] or "").split()
        assert [page.css_first(f"#{each}") is not None for each in named] == [True, True]


async def test_the_overview_renews_a_part_of_itself(ann: httpx.AsyncClient, alert_id: UUID) -> None:
    """Every fifteen seconds; every link in it has a name by which it keeps the focus."""
    page = await read(ann, "/")
    part = page.css_first("#lately")
    assert part is not None
    assert (part.attributes["hx-get"], part.attributes["hx-trigger"]) == (
        f"{CONSOLE}/overview",
        "every 15s, renew",
    )
    answer = await ann.get(f"{CONSOLE}/overview")
    assert "<html" not in answer.text
    assert str(alert_id) in answer.text
    assert all("id" in each.attributes for each in LexborHTMLParser(answer.text).css("a, summary"))


async def test_many_who_look_read_the_records_once(
    parts: Parts, records: Records, settings: MonitoringSettings, home: Home
) -> None:
    """For as long as what was read is kept."""
    lately = Lately(parts)
    first = await lately.now()
    await filling.alert(records, settings, home, datetime.now(UTC))
    assert await lately.now() is first
    lately._kept = first._replace(read_at=first.read_at - timedelta(seconds=KEPT_SECONDS + 1))
    assert len((await lately.now()).open_alerts) == 1


async def test_the_page_of_a_model_shows_drift_and_figures_over_time(
    ann: httpx.AsyncClient, alert_id: UUID
) -> None:
    """A chart for each family and figure, each with a table, and the reports that are here."""
    page = await read(ann, f"/drift/production/{SPAM_DETECTOR}")
    assert [each.text() for each in page.css("figcaption")] == [
        *filling.FAMILIES, *("precision", "recall", "f1"), *("precision", "recall", "f1"),
    ]  # fmt: skip
    header = page.css("figure")[0]
    assert (len(header.css("path.dot.bad")), len(header.css("circle"))) == (3, 22)
    assert "36 % moved, drift, version 1" in first(header, "tbody tr td:last-child").text()
    assert len(page.css(f"a[href^='{CONSOLE}/reports/drift/']")) == 3
    short = await read(ann, f"/drift/production/{SPAM_DETECTOR}?days=1")
    assert len(first(short, "figure").css("tbody tr")) == 1


async def test_an_alert_shows_all_that_is_known(ann: httpx.AsyncClient, alert_id: UUID) -> None:
    """Evidence, report, commands, messages; the one that somebody looks after shows who and why."""
    told = words(await read(ann, f"/alerts/{alert_id}"))
    for part in (
        "Data drift of header critical open", "33 % of the predictions moved", "received_count 90 % 2 to 4",
        "Every message came through one new relay.", "About 41 verdicts in 1,000", "req-1 req-2",
        "Open the report", "docs/runbooks/data_drift.md", f"sluice alerts ack {alert_id}",
        "on-call opened pending", "seen once",
    ):  # fmt: skip
        assert part in told, part
    listed = await read(ann, "/alerts")
    other = next(
        each.attributes["href"] or ""
        for each in listed.css("table a")
        if str(alert_id) not in (each.attributes["href"] or "")
    )
    told = words(await read(ann, other.removeprefix(CONSOLE)))
    assert "acknowledged by ann" in told
    assert "looking into it" in told
    assert "archive opened dead" in told or "on-call opened dead" in told


async def test_the_ledger_and_the_runs_say_why(
    ann: httpx.AsyncClient, alert_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the gate's sentences, the figures, and MLflow's page if there is a server of it."""
    told = words(await read(ann, "/promotions"))
    assert "1 → 2 pipeline Accepted by the gate" in told
    assert "not passed: One row takes 13 ms." in told
    page = await read(ann, "/runs")
    assert "below the floor of 0.95" in words(page)
    assert "took 4 min" in words(page)
    assert not page.css("a[rel=noreferrer]")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example/")
    page = await read(ann, "/runs")
    link = first(page, "a[rel=noreferrer]")
    assert link.attributes["href"] == "https://mlflow.example/#/runs/8d635d30efe14c02"


async def test_an_empty_page_says_what_to_do_next(ann: httpx.AsyncClient) -> None:
    """A new machine shows no error and no blank."""
    for page, told in (
        ("/", "sluice up"),
        ("/alerts", "sluice drift run"),
        ("/alerts?show=all", "Show the open ones"),
        ("/drift", "at least 200 predictions"),
        ("/promotions", "sluice pipeline run"),
        ("/runs", "sluice pipeline run"),
        ("/dead-letters", "sluice alerts test CHANNEL"),
        ("/runs?page=400", "that long ago"),
    ):
        assert told in words(await read(ann, page)), page


async def test_what_hostile_records_hold_stays_text(
    ann: httpx.AsyncClient, records: Records, settings: MonitoringSettings, home: Home
) -> None:
    """Every text that a run, a person or a channel wrote, on every page."""
    alert_id = await filling.everything(records, settings, home, say=hostile)
    pages = (*LISTS, f"/alerts/{alert_id}", f"/drift/production/{SPAM_DETECTOR}", "/overview")
    for path in pages:
        answer = await ann.get(f"{CONSOLE}{path}")
        assert answer.status_code == 200
        page = LexborHTMLParser(answer.text)
        assert [each.attributes.get("src") is None for each in page.css("script")].count(True) == 0, path
        assert not page.css("[onerror], img[src=x]"), path
        assert "49" not in words(page).replace(ATTACK, "") or "{{" in words(page), path
        for link in page.css("a[href]"):
            assert (link.attributes["href"] or "").startswith((f"{CONSOLE}/", "?", "#main")), path
    assert ATTACK[:25] in words(LexborHTMLParser((await ann.get(f"{CONSOLE}/alerts/{alert_id}")).text))


async def test_an_alert_whose_details_no_run_wrote_is_shown_as_it_is(
    ann: httpx.AsyncClient, records: Records
) -> None:
    """By an older version, or by hand: the page does not break."""
    details: dict[str, Any] = {"size": "large", "<b>": [None, {"deep": "<i>"}]}
    async with records.transaction() as session:
        alert, _ = await alerts.open_or_count(
            session,
            Cause("any", Environment.STAGING, AlertKind.STALE_FEATURES),
            alerts.Sighting(
                severity=Severity.INFO, summary="old", details=details, seen_at=datetime.now(UTC)
            ),
        )
    page = await read(ann, f"/alerts/{alert.id}")
    assert "Details as they are kept" in words(page)
    assert '"size": "large"' in words(page)
    assert not page.css("pre b, pre i")


async def test_a_model_of_any_name_has_a_page(ann: httpx.AsyncClient, records: Records) -> None:
    """Its link leads there, whatever is in the name; one that was never measured has none."""
    name = "a/b c?d#e%2F<ü>"
    await filling.drift(records, datetime.now(UTC), windows=2, model=name)
    page = await read(ann, "/drift")
    target = first(page, "article a").attributes["href"] or ""
    answer = await ann.get(target)
    assert answer.status_code == 200
    assert first(LexborHTMLParser(answer.text), "h1").text() == name
    assert (await ann.get(f"{CONSOLE}/drift/production/none")).status_code == 404
    assert (await ann.get(f"{CONSOLE}/drift/nowhere/{SPAM_DETECTOR}")).status_code == 404


async def test_lists_come_in_pages(
    ann: httpx.AsyncClient, records: Records, settings: MonitoringSettings, home: Home
) -> None:
    """Newest first, none twice, none left out; a page that is no number is the first."""
    now = datetime.now(UTC)
    count = paged.ROWS + 3
    for at in range(count):
        await filling.alert(records, settings, home, now - timedelta(minutes=at), family=f"f{at:02}")
    found: list[str] = []
    path = "/alerts"
    while path:
        page = await read(ann, path)
        found += [(each.text() or "").removeprefix("data drift of ") for each in page.css("table a")]
        older = page.css_first("a[rel=next]")
        path = (older.attributes["href"] or "").removeprefix(CONSOLE) if older else ""
    assert found == [f"f{at:02}" for at in range(count)]
    for asked in ("0", "-1", "x", "", "1e9", "99999999999999999999", "\u0661"):
        page = await read(ann, f"/alerts?page={asked}")
        assert len(page.css("tbody tr")) == paged.ROWS, asked
    beyond = await read(ann, "/alerts?page=99999")
    assert not beyond.css("tbody tr")
    staging = await read(ann, "/alerts?environment=staging")
    assert "No alert here" in words(staging)
    assert len((await read(ann, "/alerts?environment=nowhere")).css("tbody tr")) == paged.ROWS


async def test_a_path_that_is_none_is_told_as_a_page(ann: httpx.AsyncClient) -> None:
    """With the way back, and without the path in it."""
    for path in (
        "/nothing", "/alerts/1", "/alerts/x'--", f"/alerts/{uuid4()}", "/alerts/", "//",
        "/static/x/console.css", "/static/../routes.py", "/static/x/..%2froutes.py", "/../hooks",
        "/drift/production", "/%00", "/%ff",
    ):  # fmt: skip
        answer = await ann.get(f"{CONSOLE}{path}")
        assert answer.status_code == 404, path
        assert "To the overview" in answer.text or answer.headers["content-type"].startswith("text/plain")


async def test_long_queries_and_wrong_methods_harm_nothing(ann: httpx.AsyncClient) -> None:
    """They are passed over, or told."""
    for path in LISTS:
        answer = await ann.get(
            f"{CONSOLE}{path}", params={"q": "x" * 60_000, "page": "9" * 5000, "days": "y"}
        )
        assert answer.status_code == 200
    answer = await ann.get(f"{CONSOLE}/alerts?{'&'.join('show=all' for _ in range(5000))}")
    assert answer.status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert (await ann.request(method, f"{CONSOLE}/alerts")).status_code == 404
    assert (await ann.head(f"{CONSOLE}/alerts")).content == b""


async def test_records_that_are_away_are_told_and_the_sign_in_stays(
    ann: httpx.AsyncClient, records: Records
) -> None:
    """503, what is wrong, what to do; then it works again by itself."""
    async with records.transaction() as session:
        await session.execute(text("ALTER TABLE monitoring_alerts RENAME TO hidden"))
    answer = await ann.get(f"{CONSOLE}/alerts")
    assert answer.status_code == 503
    assert "sluice records upgrade" in answer.text
    assert "Sign out" in answer.text
    async with records.transaction() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO monitoring_alerts"))
    assert (await ann.get(f"{CONSOLE}/alerts")).status_code == 200


async def test_the_files_of_pages_may_be_kept_for_good(visitor: httpx.AsyncClient) -> None:
    """Their addresses hold a digest; HTMX is the one of the wheel."""
    page = LexborHTMLParser((await visitor.get(f"{CONSOLE}/sign-in")).text)
    addresses = [each.attributes["src"] for each in page.css("script")]
    addresses += [each.attributes["href"] for each in page.css("link")]
    assert len(addresses) == 4
    for address in addresses:
        answer = await visitor.get(address or "")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert "var htmx=" in (await visitor.get(addresses[0] or "")).text[:20]


async def test_the_console_begins_with_and_without_a_slash(ann: httpx.AsyncClient) -> None:
    """Messages and people write both."""
    answer = await ann.get(CONSOLE)
    assert answer.headers["location"] == f"{CONSOLE}/"
