"""The flip preview counts what changes, says on which rows, and invents nothing."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from contracts.bundle import BundleContract
from contracts.environments import Environment
from kit.bundle import Bundle
from records import migrate
from records.engine import opened as records_opened
from records.repositories import predictions as prediction_logs
from records.repositories.predictions import NewPrediction
from records.tables.model_deployments import Action
from serving.promotion import Tools, ledger
from serving.promotion.flips import Answers, AnswersUnreadable, compare, read_answers, verdicts
from serving.promotion.journal import Move
from serving.promotion.preview import preview
from serving.promotion.recorded import recorded
from tests.serving.promotion.shop import IRIS, ROWS, answers
from training.evaluation import predictions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
STAGING = Environment.STAGING


def contract(mails: Bundle, threshold: float | None, fingerprint: str = "same") -> BundleContract:
    """Returns a contract of two classes, ham and spam."""
    lineage = mails.contract.lineage.model_copy(update={"data_fingerprint": fingerprint})
    return mails.contract.model_copy(update={"threshold": threshold, "lineage": lineage})


def answered(scores: list[float], labels: list[int], ids: list[str] | None = None) -> Answers:
    """Returns answers whose second probabilities are `scores`."""
    second = np.array(scores)
    names = ids or [f"row-{at}" for at in range(len(scores))]
    return Answers(names, np.array(labels), np.stack([1 - second, second], axis=1))


def move_of(before: str | None, after: str, *, environment: Environment = STAGING) -> Move:
    """Returns a promotion of iris."""
    return Move(
        model=IRIS,
        environment=environment,
        action=Action.PROMOTE,
        served=before,
        pointed=before,
        version=after,
        actor="ada",
        reason="x",
        gate={},
        place="on paper",
        live=True,
        process=1,
        opened_at=datetime.now(UTC),
    )


def test_flips_and_their_cost_are_counted_by_hand(mails_1: Bundle) -> None:
    """Four rows: one mended, one spoiled, one wrong both times, one right both times."""
    # Thresholds 0.5 and 0.6; scores before and after, true classes.
    former = answered([0.55, 0.40, 0.90, 0.10], [0, 1, 0, 0])
    candidate = answered([0.59, 0.20, 0.95, 0.60], [0, 1, 0, 0])
    found = compare([contract(mails_1, 0.5), contract(mails_1, 0.6)], [former, candidate])
    assert [(flip.before, flip.after, flip.rows, flip.mended, flip.spoiled) for flip in found.flips] == [
        ("ham", "spam", 1, 0, 1),
        ("spam", "ham", 1, 1, 0),
    ]
    (errors,) = found.errors
    assert (errors.name, errors.false_positives_before, errors.false_positives_after) == ("spam", 2, 2)
    assert (errors.false_negatives_before, errors.false_negatives_after) == (1, 1)
    assert (found.rows, found.changed, found.same_data) == (4, 2, True)


def test_only_rows_that_both_were_tested_on_are_compared(mails_1: Bundle) -> None:
    """In another order, with rows of their own, from other data: and that is said."""
    former = answered([0.9, 0.1, 0.9], [1, 0, 1], ["a", "b", "c"])
    candidate = answered([0.1, 0.2, 0.9], [1, 0, 0], ["c", "d", "e"])
    found = compare([contract(mails_1, 0.5), contract(mails_1, 0.5, "other")], [former, candidate])
    assert (found.rows, found.rows_before, found.rows_after, found.same_data) == (1, 3, 3, False)
    assert [(flip.before, flip.after, flip.spoiled) for flip in found.flips] == [("spam", "ham", 1)]


def test_test_splits_without_a_common_row_give_no_figure(mails_1: Bundle) -> None:
    """Nothing is compared, and nothing is estimated."""
    contracts = [contract(mails_1, 0.5), contract(mails_1, 0.5)]
    found = compare(contracts, [answered([0.9], [1], ["a"]), answered([0.1], [1], ["b"])])
    assert (found.rows, found.flips) == (0, ())


def test_rows_with_other_true_classes_are_not_compared(mails_1: Bundle) -> None:
    """Somebody relabelled them in between: the cost would be of no model."""
    contracts = [contract(mails_1, 0.5), contract(mails_1, 0.5)]
    with pytest.raises(AnswersUnreadable, match="other labels"):
        compare(contracts, [answered([0.9], [1]), answered([0.1], [0])])


def test_a_score_at_the_threshold_is_positive_and_without_one_the_largest_wins(mails_1: Bundle) -> None:
    """The label rule of the bundle; at a tie the first class."""
    half = np.array([[0.5, 0.5], [0.7, 0.3]])
    assert verdicts(contract(mails_1, 0.5), half).tolist() == [1, 0]
    assert verdicts(contract(mails_1, 0.3), half).tolist() == [1, 1]
    assert verdicts(contract(mails_1, None), half).tolist() == [0, 0]


def test_what_evaluation_writes_is_read(mails_1: Bundle, tmp_path: Path) -> None:
    """Two packages, one file: what one writes the other reads."""
    written = answers(mails_1)
    predictions.write(written, tmp_path / "predictions.parquet")
    read = read_answers(tmp_path / "predictions.parquet", mails_1.contract)
    assert read.ids == written.ids.tolist()
    assert np.array_equal(read.labels, written.labels)
    assert np.array_equal(read.probabilities, written.probabilities)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\x00" * 1000])
def test_a_file_that_is_none_is_told(mails_1: Bundle, tmp_path: Path, content: bytes) -> None:
    """Damaged or of another kind."""
    (tmp_path / "predictions.parquet").write_bytes(content)
    with pytest.raises(AnswersUnreadable):
        read_answers(tmp_path / "predictions.parquet", mails_1.contract)


def test_a_preview_compares_what_the_runs_of_both_versions_kept(tools: Tools) -> None:
    """The figures are those of the answers that were registered."""
    ledger.check()
    found = preview(tools, move_of("1", "2"))
    assert found.test_split is not None
    bundles = [tools.bundle(IRIS, version) for version in ("1", "2")]
    old, new = (answers(bundle).probabilities.argmax(axis=1) for bundle in bundles)
    assert (found.test_split.rows, found.test_split.changed) == (ROWS, int((old != new).sum()))
    assert [errors.name for errors in found.test_split.errors] == list(bundles[0].contract.classes)
    assert any("No prediction of version 1" in note for note in found.notes)


def test_a_version_without_kept_answers_has_a_preview_that_says_so(tools: Tools) -> None:
    """A version that another hand registered can still be promoted, with open eyes."""
    found = preview(tools, move_of("3", "1"))
    assert found.test_split is None
    assert any("cannot be compared" in note and "evaluation/" in note for note in found.notes)


def test_the_first_version_has_nothing_to_be_compared_with(tools: Tools) -> None:
    """And that is all there is to say."""
    found = preview(tools, move_of(None, "1"))
    assert (found.test_split, found.recorded, len(found.notes)) == (None, None, 1)


def record(bundle: Bundle, rows: list[tuple[list[float], float, str]]) -> None:
    """Writes predictions of version 1 in staging: the numbers, the score, the verdict."""
    now = datetime.now(UTC)
    made = [
        NewPrediction(
            request_id=f"request-{at}",
            created_at=now,
            environment=STAGING,
            model_name=bundle.contract.workload,
            model_version="1",
            schema_digest=bundle.contract.schema_digest,
            numeric=tuple(numbers),
            probability=probability,
            threshold=bundle.contract.threshold,
            label=label,
            latency_seconds=0.001,
        )
        for at, (numbers, probability, label) in enumerate(rows)
    ]

    async def write() -> None:
        async with records_opened() as records:
            await migrate.upgrade(records.engine)
            async with records.transaction() as session:
                await prediction_logs.insert_many(session, made, recorded_at=now)

    asyncio.run(write())


def test_a_model_of_numbers_is_asked_again_for_what_was_recorded(
    tools: Tools, flowers_1: Bundle, flowers_2: Bundle
) -> None:
    """The records hold all that it reads."""
    classes = flowers_2.contract.classes
    rows = [([2.0, 2.0, 2.0, 2.0], 0.9, classes[2]), ([5.0, 5.0, 5.0, 5.0], 0.9, classes[2])]
    record(flowers_1, rows)
    found = recorded(STAGING, flowers_1, flowers_2, "1")
    assert found is not None
    assert (found.predictions, found.scored) == (2, True)
    assert found.flips == {f"{classes[2]} → {classes[0]}": 1}


def test_of_a_model_that_reads_text_only_the_thresholds_are_compared(
    tools: Tools, mails_1: Bundle, mails_2: Bundle
) -> None:
    """A score between them gets another verdict; what a new score would be is not claimed."""
    former = Bundle(mails_1.folder, contract(mails_1, 0.5), mails_1.parity)
    candidate = Bundle(mails_2.folder, contract(mails_2, 0.7), mails_2.parity)
    numbers = [0.0] * 24
    record(former, [(numbers, 0.2, "ham"), (numbers, 0.6, "spam"), (numbers, 0.7, "spam")])
    found = recorded(STAGING, former, candidate, "1")
    assert found is not None
    assert (found.predictions, found.scored, found.flips) == (3, False, {"spam → ham": 1})
    assert "no text" in found.note
    assert "not known" in found.note
