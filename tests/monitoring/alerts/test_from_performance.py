"""Labels open alerts of what answers are worth; an estimate opens one of its own, marked and mild."""

import pytest

from monitoring.alerts import from_performance
from monitoring.alerts.event import Change
from monitoring.alerts.from_performance import Told
from monitoring.performance.result import LivePerformance
from records.tables.monitoring_alerts import Severity
from tests.monitoring.alerts.found import figure, figures
from tests.monitoring.alerts.story import Book, note

PERFORMANCE = "performance_degradation/labels"
CONCEPT = "concept_drift/labels"
ESTIMATE = "performance_degradation/estimate"
PRECISION = figure("precision", 0.8, worse=True)
RECALL = figure("recall", 0.7, worse=True)


async def written(book: Book, *found: LivePerformance) -> dict[str, Change | None]:
    """Writes figures, and returns what became of each alert, by kind and family."""
    told = [Told(each, "12 % are wrong.", () if each.estimate else ("row-9", "row-8")) for each in found]
    async with book.records.transaction() as session:
        entries = await from_performance.write(session, book.settings, book.home, told)
    return {f"{entry.alert.kind}/{entry.alert.family}": entry.change for entry in entries}


async def test_figures_that_hold_open_nothing(book: Book) -> None:
    """Neither by labels, nor by an estimate, nor where there is neither."""
    assert await written(book) == {}
    assert await written(book, figures(figure("precision", 0.96)), figures(estimate=True)) == {}


async def test_a_fall_that_labels_show_says_how_far_with_examples(book: Book) -> None:
    """The figure that fell most first, next to the certificate's; the mix of classes may be why."""
    found = figures(figure("f1", 0.9, worse=True), PRECISION, figure("recall", 0.96), degraded=True)
    assert await written(book, found) == {PERFORMANCE: Change.OPENED}
    (event,) = await book.events()
    assert [each.name for each in event.evidence.moved] == ["precision", "f1"]
    assert event.evidence.moved[0].reference == "97 % (certificate)"
    assert event.evidence.moved[0].current == "80 % (78 % to 82 %)"
    assert event.evidence.size == pytest.approx(0.17)
    assert (event.evidence.rows, event.evidence.examples) == (200, ("row-9", "row-8"))
    assert (event.summary, event.evidence.effect) == ("By 200 labels.", "12 % are wrong.")
    assert "mix of classes" in event.evidence.cause
    assert event.severity is Severity.WARNING


async def test_a_concept_drift_is_told_instead_of_the_fall_that_comes_with_it(book: Book) -> None:
    """One cause, one alert; its evidence is the figures within a class."""
    found = figures(PRECISION, RECALL, degraded=True, concept_drift=True)
    assert await written(book, found) == {CONCEPT: Change.OPENED}
    (event,) = await book.events()
    assert [each.name for each in event.evidence.moved] == ["recall"]
    assert event.severity is Severity.CRITICAL
    assert event.evidence.size == pytest.approx(0.27)
    assert await book.heard() == ["opened"]


async def test_a_fall_that_turns_out_to_be_a_concept_drift_goes_on_being_counted(book: Book) -> None:
    """It is not resolved while it lasts."""
    await written(book, figures(PRECISION, degraded=True))
    recall = figure("recall", 0.85, worse=True)
    found = figures(PRECISION, recall, at=60, degraded=True, concept_drift=True, labels=230)
    assert await written(book, found) == {CONCEPT: Change.OPENED, PERFORMANCE: None}
    assert [alert.is_open for alert in await book.alerts()] == [True, True]
    quiet = [await written(book, figures(PRECISION, at=at)) for at in (120, 180, 240)]
    assert quiet[-1] == {CONCEPT: Change.RESOLVED, PERFORMANCE: Change.RESOLVED}


async def test_the_same_labels_again_are_no_new_sighting(book: Book) -> None:
    """Neither while the alert is open, nor to open it again after a person has resolved it; new ones are."""
    assert await written(book, figures(PRECISION, degraded=True)) == {PERFORMANCE: Change.OPENED}
    assert await written(book, figures(PRECISION, at=60, degraded=True)) == {}
    (alert,) = await book.alerts()
    assert alert.occurrences == 1
    await book.resolve(alert, note(2))
    assert await written(book, figures(PRECISION, at=120, degraded=True)) == {}
    again = figures(PRECISION, at=180, degraded=True, labels=201)
    assert await written(book, again) == {PERFORMANCE: Change.OPENED}
    assert await book.heard() == ["opened", "resolved", "opened"]


async def test_an_estimate_is_marked_and_no_more_than_a_warning(book: Book) -> None:
    """However far it fell and however many ask; and it says under which condition it holds."""
    found = figures(figure("f1", 0.4, worse=True), estimate=True, degraded=True, of_rows=90_000)
    assert await written(book, found) == {ESTIMATE: Change.OPENED}
    (event,) = await book.events()
    assert (event.family, event.severity) == ("estimate", Severity.WARNING)
    assert event.summary == "By an estimate."
    assert event.evidence.cause == "An estimate: it holds if only the inputs have changed."
    assert event.evidence.examples == ()


async def test_where_there_are_labels_the_estimate_says_nothing(book: Book) -> None:
    """What it said before ends by quiet runs."""
    bad = figures(figure("f1", 0.8, worse=True), estimate=True, degraded=True)
    await written(book, bad)
    changes = [(await written(book, figures(PRECISION, at=at), bad)) for at in (60, 120, 180)]
    assert changes == [{ESTIMATE: None}, {ESTIMATE: None}, {ESTIMATE: Change.RESOLVED}]


async def test_without_labels_what_they_said_is_neither_seen_nor_quiet(book: Book) -> None:
    """An estimate cannot see that a concept drift is over."""
    await written(book, figures(PRECISION, RECALL, degraded=True, concept_drift=True))
    for at in (60, 120, 180, 240):
        assert await written(book, figures(at=at, estimate=True)) == {}
    (alert,) = await book.alerts()
    assert (alert.is_open, alert.quiet_runs, alert.occurrences) == (True, 0, 1)
