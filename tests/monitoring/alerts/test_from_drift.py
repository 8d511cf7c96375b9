"""What a drift run finds becomes one alert for each cause; what it finds no more resolves it."""

from pathlib import Path

import pytest

from contracts.environments import Environment
from kit.home import Home
from monitoring.alerts import from_drift
from monitoring.alerts.book import Entry
from monitoring.alerts.event import Change, Moved
from monitoring.drift.result import Cause, DriftResult, Verdict
from records.repositories.alerts import Cause as Wrong
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.alerts.found import FAMILIES, MODEL, family, result
from tests.monitoring.alerts.story import Book, minute

STORE = Wrong(MODEL, Environment.PRODUCTION, AlertKind.STALE_FEATURES)
EFFECT = "40 % of the verdicts are spam."


async def written(book: Book, found: DriftResult) -> dict[str, Change | None]:
    """Writes what a run found, and returns what became of each alert, by its kind and family."""
    async with book.records.transaction() as session:
        entries = await from_drift.write(session, book.settings, book.home, found, EFFECT)
    return {_name(entry): entry.change for entry in entries}


def _name(entry: Entry) -> str:
    family = entry.alert.family
    return family if entry.alert.kind == AlertKind.DATA_DRIFT else f"{entry.alert.kind}/{family}"


async def test_each_family_that_drifted_has_an_alert_and_a_quiet_one_has_none(book: Book) -> None:
    """With the evidence of its own family: features that drifted, examples, since, effect, report."""
    page = book.home.root / "reports" / "drift" / "page.html"
    found = result(family("header"), family("sender", moved=0.6), rows=4000, report=page)
    assert await written(book, found) == {"header": Change.OPENED, "sender": Change.OPENED}
    assert await written(book, result(at=0.5)) == {"header": None, "sender": None}
    header, sender = await book.events()
    assert (header.severity, sender.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert header.evidence.moved == (Moved(name="header_leads", reference="median 3", current="median 9"),)
    assert (header.evidence.rows, header.evidence.size) == (4000, 0.3)
    assert (header.evidence.since, header.evidence.examples[0]) == (minute(-30), "header-1")
    assert (header.evidence.effect, header.evidence.report) == (EFFECT, "reports/drift/page.html")
    assert header.report == str(page)
    assert header.summary == "The header features: drift."


async def test_less_than_the_floor_is_no_alert_and_ends_one(book: Book) -> None:
    """A family that moved a little is quiet."""
    await written(book, result(family("header")))
    small = family("header", Verdict.SMALL, 0.05)
    changes = [(await written(book, result(small, at=at)))["header"] for at in (60, 120, 180)]
    assert changes == [None, None, Change.RESOLVED]
    assert await written(book, result(small, at=240)) == {}
    assert await book.heard() == ["opened", "resolved"]


async def test_families_resolve_each_for_itself(book: Book) -> None:
    """One goes on, the other ends."""
    await written(book, result(family("header"), family("sender")))
    for at in (60, 120):
        await written(book, result(family("header"), at=at))
    assert await written(book, result(family("header"), at=180)) == {
        "header": None,
        "sender": Change.RESOLVED,
    }
    assert [alert.occurrences for alert in await book.alerts() if alert.is_open] == [4]


async def test_a_family_that_could_not_be_measured_is_not_quiet(book: Book) -> None:
    """No prediction records the text any more: nobody knows whether it drifts still."""
    await written(book, result(family("text")))
    for at in (60, 120, 180, 240):
        without = result(at=at, measured=[name for name in FAMILIES if name != "text"])
        assert await written(book, without) == {}
    assert [alert.is_open for alert in await book.alerts()] == [True]


async def test_a_new_version_ends_the_alerts_of_the_former_one_by_its_own_quiet_runs(book: Book) -> None:
    """Families that it has, and one that it has not; one that drifts under it too goes on as one alert."""
    await written(book, result(family("header"), family("sender"), family("extra")))
    for at in (60, 120, 180):
        last = await written(book, result(family("header"), at=at, version="8"))
    assert last == {"header": None, "sender": Change.RESOLVED, "extra": Change.RESOLVED}
    (header,) = [alert for alert in await book.alerts() if alert.is_open]
    assert (header.model_version, header.occurrences) == ("8", 4)
    assert await book.heard() == ["opened"] * 3 + ["resolved"] * 2


async def test_another_environment_and_model_are_other_alerts(book: Book) -> None:
    """Quiet production says nothing of staging, and staging is a warning at most."""
    staging = result(family("sender", moved=0.9), rows=9000, environment=Environment.STAGING)
    await written(book, staging)
    for at in (60, 120, 180):
        assert await written(book, result(at=at)) == {}
    (alert,) = await book.alerts()
    assert (alert.is_open, alert.severity) == (True, Severity.WARNING)


async def test_what_the_feature_store_explains_is_one_alert_whichever_families_show_it(book: Book) -> None:
    """No drift of these families, and a drift of another one beside it."""
    explained = [family(name, cause=Cause.FEATURE_STORE) for name in ("sender", "score")]
    found = result(*explained, family("header"), defaulted=60)
    assert await written(book, found) == {"header": Change.OPENED, "stale_features/": Change.OPENED}
    (event,) = [each for each in await book.events() if each.kind is AlertKind.STALE_FEATURES]
    assert event.summary.startswith("15 % of the predictions were answered with default features")
    assert event.evidence.cause.endswith("as the reference has them in sender, score.")
    assert {each.name for each in event.evidence.moved} == {"sender_leads", "score_leads"}
    assert event.evidence.size == 0.15


@pytest.mark.parametrize(("defaulted", "stale"), [(79, False), (80, True)])
async def test_a_share_of_defaults_is_an_alert_from_the_setting_on(
    book: Book, defaulted: int, *, stale: bool
) -> None:
    """A fifth of 400, without any drift."""
    found = await written(book, result(defaulted=defaulted))
    assert found == ({"stale_features/": Change.OPENED} if stale else {})


async def test_defaults_that_are_few_again_end_the_alert(book: Book) -> None:
    """At the third run."""
    await written(book, result(defaulted=200))
    changes = [(await written(book, result(at=at)))["stale_features/"] for at in (60, 120, 180)]
    assert changes == [None, None, Change.RESOLVED]


@pytest.mark.parametrize(("resolved_at", "told_again"), [(-10, False), (-70, True)])
async def test_an_outage_that_was_told_while_it_lasted_is_not_told_again_from_its_rows(
    book: Book, resolved_at: float, *, told_again: bool
) -> None:
    """A check saw it and its end in the window of the run; or it ended before, and this is another one."""
    for number in (-100, -90, -80):
        await book.see(number, cause=STORE)
    for number in range(3):
        await book.quiet(resolved_at - 2 + number, STORE)
    found = await written(book, result(defaulted=200))
    assert found == ({"stale_features/": Change.OPENED} if told_again else {})


async def test_an_outage_that_lasts_is_counted_on_the_alert_that_is_open(book: Book) -> None:
    """Whoever opened it."""
    await book.see(-5, cause=STORE)
    assert await written(book, result(defaulted=200)) == {"stale_features/": None}
    (alert,) = await book.alerts()
    assert alert.occurrences == 2


async def test_a_report_that_lies_elsewhere_has_no_link(book: Book) -> None:
    """A path below another home is nobody's business."""
    elsewhere = Path("/somewhere/else/page.html")
    await written(book, result(family("header"), report=elsewhere))
    (event,) = await book.events()
    assert (event.report, event.evidence.report) == ("", "")


async def test_a_report_is_linked_where_the_console_is_known(book: Book, tmp_path: Path) -> None:
    """As the console serves it."""
    at_home = Book(
        book.records,
        book.settings.model_copy(update={"public_url": "https://monitoring.invalid"}),
        Home(tmp_path),
    )
    page = tmp_path / "reports" / "drift" / "a%2Fb" / "page.html"
    await written(at_home, result(family("header"), report=page))
    (event,) = await book.events()
    assert event.report == "https://monitoring.invalid/console/reports/drift/a%252Fb/page.html"
