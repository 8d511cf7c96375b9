"""Feedback and what is remembered: for whom, in which words, and when the records do not answer."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.environments import Environment
from gateway.asked import Caller
from gateway.errors import PredictionUnknown, RecordsDown, ScopeMissing, ValidationFailed
from records.repositories.feedback import Outcome
from tests.gateway.memory.answers import EVERYWHERE, FACTS, answered, ids, remembering, sqlite, until, written

STAGING = replace(EVERYWHERE, environments=frozenset({Environment.STAGING}))
PRODUCTION = Caller("other", "others", frozenset({Environment.PRODUCTION}))
IRIS_ONLY = replace(EVERYWHERE, models=frozenset({"iris"}))


async def test_a_prediction_is_told_at_once_and_never_who_sent_the_message(
    tmp_path: Path, address: str
) -> None:
    """Asked right after it was recorded: what waits in memory is written first."""
    async with remembering(tmp_path, address) as memory:
        memory.record(answered(1))
        told = await memory.prediction(STAGING, "request-000001")
    assert (told.verdict, told.probability, told.threshold) == ("spam", 0.75, 0.5)
    assert (told.model, told.version, told.environment) == ("spam-detector", "7", Environment.STAGING)
    assert (told.feedback, told.shadows, told.shadow_of) == (None, (), None)
    assert told.message_sha256 == f"{1:064x}"
    assert "ann" not in told.model_dump_json()
    assert "example.org" not in told.model_dump_json()


async def test_feedback_is_kept_once_and_the_latest_wins(tmp_path: Path, address: str) -> None:
    """Created, unchanged, changed; told with the prediction, with the name of the key."""
    async with remembering(tmp_path, address) as memory:
        memory.record(answered(1))
        said = [await memory.feedback(STAGING, "request-000001", word) for word in ("ham", "ham", "spam")]
        assert said == [Outcome.CREATED, Outcome.UNCHANGED, Outcome.CHANGED]
        told = await memory.prediction(STAGING, "request-000001")
    assert told.feedback is not None
    assert (told.feedback.label, told.feedback.submitted_by) == ("spam", "tests")


async def test_feedback_may_come_before_its_prediction(tmp_path: Path, address: str) -> None:
    """It may have been answered by another process, which has not written it yet."""
    async with remembering(tmp_path, address) as memory:
        assert await memory.feedback(STAGING, "request-000005", "ham") is Outcome.CREATED
        with pytest.raises(PredictionUnknown) as unknown:
            await memory.prediction(STAGING, "request-000005")
        assert unknown.value.status == 404
        memory.record(answered(5))
        told = await memory.prediction(STAGING, "request-000005")
    assert told.feedback is not None


async def test_a_key_reaches_only_its_environments_and_models(tmp_path: Path, address: str) -> None:
    """For reading and for feedback alike, and nothing is written."""
    async with remembering(tmp_path, address) as memory:
        memory.record(answered(1))
        for caller in (PRODUCTION, IRIS_ONLY):
            with pytest.raises(ScopeMissing):
                await memory.prediction(caller, "request-000001")
            with pytest.raises(ScopeMissing):
                await memory.feedback(caller, "request-000001", "ham")
        assert (await memory.prediction(EVERYWHERE, "request-000001")).feedback is None


async def test_labels_are_the_classes_of_the_model_where_they_are_known(tmp_path: Path, address: str) -> None:
    """Another model's may be any word."""
    async with remembering(tmp_path, address) as memory:
        memory.record(answered(1))
        memory.record(answered(2, model="iris", label="setosa"))
        with pytest.raises(ValidationFailed) as wrong:
            await memory.feedback(STAGING, "request-000001", "setosa")
        assert wrong.value.faults == [{"field": "label", "reason": "must be ham or spam"}]
        assert await memory.feedback(STAGING, "request-000002", "virginica") is Outcome.CREATED


@pytest.mark.parametrize(
    ("request_id", "label"),
    [("", "ham"), ("x" * 129, "ham"), (" ", "ham"), ("x", ""), ("x", "y" * 65), ("x", " ")],
)
async def test_what_can_be_no_id_or_label_is_refused(
    tmp_path: Path, address: str, request_id: str, label: str
) -> None:
    """With the field; nobody is asked."""
    async with remembering(tmp_path, address, record=False) as memory:
        with pytest.raises(ValidationFailed) as refused:
            await memory.feedback(STAGING, request_id, label)
        assert refused.value.faults
        if len(request_id) != 1:
            with pytest.raises(PredictionUnknown):
                await memory.prediction(STAGING, request_id)


async def test_hostile_words_are_words(tmp_path: Path, address: str) -> None:
    """NUL, surrogates and SQL in id and label are kept or refused, and never a failure."""
    async with remembering(tmp_path, address, record=False) as memory:
        for text in ("a\x00b", "\ud800", "'; DROP TABLE feedback; --", "\u202e"):
            assert await memory.feedback(STAGING, text, text) is Outcome.CREATED
            with pytest.raises(PredictionUnknown):
                await memory.prediction(STAGING, text)


async def test_mirrored_copies_are_told_to_who_may_read_there(tmp_path: Path, address: str) -> None:
    """With what the other environment answered."""
    copy = answered(
        1,
        request_id="request-000001~shadow",
        shadow_of="request-000001",
        environment=Environment.PRODUCTION,
        label="ham",
        version="8",
        facts=FACTS,
    )
    async with remembering(tmp_path, address) as memory:
        memory.record(answered(1))
        memory.record(copy)
        everything = await memory.prediction(EVERYWHERE, "request-000001")
        part = await memory.prediction(STAGING, "request-000001")
        mirrored = await memory.prediction(PRODUCTION, "request-000001~shadow")
    assert [(shadow.verdict, shadow.version) for shadow in everything.shadows] == [("ham", "8")]
    assert part.shadows == ()
    assert mirrored.shadow_of == "request-000001"


async def test_records_that_do_not_answer_are_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    """No table, and a lock that somebody holds; the gateway's own time is the limit."""
    address = sqlite(tmp_path / "records.db")
    async with remembering(tmp_path, address, record=False, timeout_seconds=0.3) as memory:
        with pytest.raises(RecordsDown) as down:
            await memory.prediction(STAGING, "x")
        assert (down.value.status, down.value.retry_after_seconds) == (503, 1)


async def test_feedback_behind_a_lock_is_told_in_time_and_can_be_sent_again(
    tmp_path: Path, address: str
) -> None:
    """Reading goes on meanwhile."""
    with closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as other:
        async with remembering(tmp_path, address, lock_timeout_seconds=0.2) as memory:
            memory.record(answered(1))
            await until(lambda: memory.kept == 1)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(RecordsDown):
                await memory.feedback(STAGING, "request-000001", "ham")
            assert (await memory.prediction(STAGING, "request-000001")).feedback is None
            other.execute("ROLLBACK")
            assert await memory.feedback(STAGING, "request-000001", "ham") is Outcome.CREATED
    assert await written(address) == ids(1, first=1)
