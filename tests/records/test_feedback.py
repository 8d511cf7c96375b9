"""Feedback is kept once for each request, the latest word wins, and it meets its prediction in any order."""

from uuid import UUID

from records.engine import Records
from records.repositories import feedback, prediction_windows, predictions
from records.repositories.feedback import NewFeedback, Outcome
from records.repositories.prediction_windows import Period
from records.repositories.predictions import Cursor
from tests.records.rows import SERVED, after, prediction


async def say(records: Records, number: int, label: str, seconds: float, recorded: float = 0) -> Outcome:
    """Submits one label and returns what that changed."""
    new = NewFeedback(request_id=f"request-{number}", label=label, created_at=after(seconds))
    async with records.transaction() as session:
        return await feedback.submit(session, new, recorded_at=after(recorded or seconds))


async def test_the_same_label_again_changes_nothing(records: Records) -> None:
    """A client that retries is not counted twice."""
    assert await say(records, 1, "spam", 1) is Outcome.CREATED
    assert await say(records, 1, "spam", 2) is Outcome.UNCHANGED
    async with records.reading() as session:
        kept = await feedback.by_request_id(session, "request-1")
    assert kept is not None
    assert kept.created_at == after(1)


async def test_a_correction_replaces_and_a_late_older_word_does_not(records: Records) -> None:
    """The latest submission wins, whichever arrives last."""
    await say(records, 1, "spam", 10)
    assert await say(records, 1, "ham", 20) is Outcome.CHANGED
    assert await say(records, 1, "spam", 15, recorded=30) is Outcome.UNCHANGED
    async with records.reading() as session:
        kept = await feedback.by_request_id(session, "request-1")
    assert kept is not None
    assert (kept.label, kept.recorded_at) == ("ham", after(20))


async def test_labelled_predictions_of_a_window(records: Records) -> None:
    """What the model said beside what people said, and predictions without feedback left out."""
    async with records.transaction() as session:
        rows = [prediction(1), prediction(2), prediction(3), prediction(4, model_version="8")]
        await predictions.insert_many(session, rows, recorded_at=after(0))
    for number in (1, 3, 4):
        await say(records, number, "ham", 100)
    async with records.reading() as session:
        everything = await prediction_windows.labelled(session, SERVED)
        early = await prediction_windows.labelled(session, SERVED, Period(until=after(3)))
    assert everything.request_ids == ["request-1", "request-3"]
    assert everything.answered == ["spam", "spam"]
    assert everything.true == ["ham", "ham"]
    assert early.request_ids == ["request-1"]


async def test_a_label_is_known_once_its_prediction_is_there_too(records: Records) -> None:
    """Feedback that overtakes its prediction waits for it, and a reader past its own time still sees it."""
    await say(records, 1, "spam", 10)
    async with records.reading() as session:
        assert await feedback.known_after(session, None, until=after(20)) == []
    async with records.transaction() as session:
        await predictions.insert_many(session, [prediction(1)], recorded_at=after(30))
    async with records.reading() as session:
        passed = Cursor(after(20), (await _first_id(records)))
        assert await feedback.known_after(session, passed, until=after(30)) == []
        (known,) = await feedback.known_after(session, passed, until=after(60))
    assert known.known_at == after(30)
    assert (known.prediction.sender, known.feedback.label) == ("someone@example.org", "spam")


async def test_a_reader_of_labels_sees_each_once_and_a_correction_anew(records: Records) -> None:
    """Page by page, without a gap; the corrected label comes back with its new word."""
    async with records.transaction() as session:
        rows = [prediction(number) for number in range(5)]
        await predictions.insert_many(session, rows, recorded_at=after(0))
    for number in range(5):
        await say(records, number, "spam", 50)
    seen: list[str] = []
    cursor: Cursor | None = None
    async with records.reading() as session:
        while known := await feedback.known_after(session, cursor, until=after(60), limit=2):
            seen += [entry.prediction.request_id for entry in known]
            cursor = Cursor(known[-1].known_at, known[-1].feedback.id)
    assert sorted(seen) == [f"request-{number}" for number in range(5)]
    await say(records, 3, "ham", 70)
    async with records.reading() as session:
        (again,) = await feedback.known_after(session, cursor, until=after(80))
    assert (again.prediction.request_id, again.feedback.label) == ("request-3", "ham")


async def _first_id(records: Records) -> UUID:
    async with records.reading() as session:
        kept = await feedback.by_request_id(session, "request-1")
    assert kept is not None
    return kept.id
