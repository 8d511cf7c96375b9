"""Both sides of the verdict: quiet where nothing changed, drift where a quarter did, none below the floor.

The full table, on a real reference and with more draws, is in docs/drift.md.
"""

from pathlib import Path

import numpy as np
import pytest

from monitoring.drift.columns import Column, Sample
from monitoring.drift.reference import reference_of
from monitoring.drift.result import Verdict
from monitoring.drift.trials import SHIFTS, alarms, detections, drawn, lost, moved
from monitoring.drift.verdicts import Strictness, holm, judge
from monitoring.drift.words import values_in_words
from tests.monitoring.bundles import mail_bundle

STRICTNESS = Strictness(deals=700)
FAMILIES = ("header", "structure", "sender", "text", "score")


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The reference of a mail model."""
    return reference_of(mail_bundle(tmp_path_factory.mktemp("verdicts") / "bundle")).sample


@pytest.mark.parametrize(("rows", "draws"), [(200, 20), (1000, 10), (10_000, 4)])
def test_resampled_reference_is_quiet(mails: Sample, rows: int, draws: int) -> None:
    """At every size; the seeds are fixed, so this is not a matter of luck."""
    assert alarms(mails, rows, draws=draws, strictness=STRICTNESS).found == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_quarter_that_moved_is_found_in_its_family(mails: Sample, family: str) -> None:
    """Each number of a family in a quarter of 200 rows, one standard deviation up."""
    assert mails.families == FAMILIES
    assert detections(mails, 200, family, moved, draws=4, strictness=STRICTNESS).share == 1


@pytest.mark.parametrize("name", SHIFTS)
def test_every_shift_is_found_in_a_thousand_rows(mails: Sample, name: str) -> None:
    """Lost, stuck, moved, and only one number moved."""
    assert detections(mails, 1000, "header", SHIFTS[name], draws=2, strictness=STRICTNESS).share == 1


def test_only_the_shifted_family_drifts(mails: Sample) -> None:
    """The others are not dragged along, nor do they dilute it; what moved leads the list."""
    current = drawn(mails, 1000, np.random.default_rng(3))
    at = [column.name for column in mails.columns].index("subject_is_encoded")
    current.values[:250, at] = 1
    found = {family.family: family for family in judge(mails, current, STRICTNESS)}
    assert {name for name, family in found.items() if family.verdict is Verdict.DRIFT} == {"header"}
    assert found["header"].top[0].name == "subject_is_encoded"
    assert [feature.name for feature in found["header"].features if feature.drifted] == ["subject_is_encoded"]
    assert "subject_is_encoded went from" in found["header"].sentence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0] * 4, "always 1"),
        ([0.0] * 3 + [1.0], "0 in 75 %, 1 in 25 %"),
        ([1.0] * 7 + [2.0, 3.0, 10.0], "1 in 70 %, else median 3 (2 to 10)"),
        ([0.0, 1.0, float("nan"), float("nan")], "0 in 50 %, 1 in 50 %, 50 % missing"),
        ([1.0, 2.0, 3.0, 4.0], "median 2 (1 to 4)"),
    ],
)
def test_values_are_told_in_words(values: list[float], words: str) -> None:
    """What is frequent with its share, and how the rest spreads: no row of bare numbers."""
    assert values_in_words(Column("hop_count", "header"), np.array(values, np.float32)) == words


def test_a_sure_but_trivial_shift_is_no_drift_at_a_hundred_thousand_rows(mails: Sample) -> None:
    """3 of 100 rows changed: beyond all chance, and below the floor of 8 of 100; 12 of 100 are a drift."""
    at = [column.name for column in mails.columns].index("subject_is_encoded")
    verdicts = []
    for share in (0.03, 0.12):
        current = drawn(mails, 100_000, np.random.default_rng(4))
        zeros = np.flatnonzero(current.values[:, at] == 0)
        current.values[zeros[: int(share * len(current))], at] = 1
        many = drawn(mails, 10_000, np.random.default_rng(5))
        header = judge(many, current, STRICTNESS)[0]
        assert header.p_value <= STRICTNESS.false_alarms
        verdicts.append(header.verdict)
    assert verdicts == [Verdict.SMALL, Verdict.DRIFT]


def test_a_value_the_reference_never_saw_is_no_alarm_by_itself() -> None:
    """A flag that 900 rows never showed comes once in a thousand rows: the reference may have missed it."""
    column = (Column("flag", "numbers"),)
    known = Sample(column, np.zeros((900, 1), dtype=np.float32))
    asked = np.zeros((10_000, 1), dtype=np.float32)
    asked[:10] = 1
    assert judge(known, Sample(column, asked), STRICTNESS)[0].verdict is Verdict.QUIET
    asked[:2500] = 1
    assert judge(known, Sample(column, asked), STRICTNESS)[0].verdict is Verdict.DRIFT


def test_missing_values_are_a_shift_of_their_own(mails: Sample) -> None:
    """A statistic that a quarter of the rows no longer records."""
    current = drawn(mails, 400, np.random.default_rng(6))
    at = [column.family for column in mails.columns].index("text")
    current.values[:100, at] = np.nan
    text = next(family for family in judge(mails, current, STRICTNESS) if family.family == "text")
    assert text.verdict is Verdict.DRIFT
    assert "25 % missing" in text.top[0].current


def test_one_class_only_is_a_drift_of_the_score(mails: Sample) -> None:
    """The model answers nothing but the first class."""
    current = drawn(mails, 300, np.random.default_rng(7))
    current = current.take(current.values[:, -1] == 0)
    found = {family.family: family for family in judge(mails, current, STRICTNESS)}
    assert found["score"].verdict is Verdict.DRIFT
    assert "ham 100 %" in {feature.name: feature for feature in found["score"].features}["label"].current


def test_the_same_rows_and_seed_give_the_same_verdicts(mails: Sample) -> None:
    """A verdict can be repeated."""
    current = drawn(mails, 200, np.random.default_rng(8))
    assert judge(mails, current, STRICTNESS, seed=3) == judge(mails, current, STRICTNESS, seed=3)


def test_holm_steps_down() -> None:
    """The smallest p-value pays for all, the largest for itself, and none falls below the one before it."""
    adjusted = {name: value for name, (value, _) in holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.9}).items()}
    assert adjusted == pytest.approx({"a": 0.04, "c": 0.09, "b": 0.09, "d": 0.9})


def test_what_is_lost_everywhere_is_found(mails: Sample, tmp_path: Path) -> None:
    """A part that gives nothing for all rows, and not only a quarter."""
    current = drawn(mails, 200, np.random.default_rng(9))
    current.values[:, :10] = lost(mails.of("header"), current.values[:, :10], np.random.default_rng(1))
    assert judge(mails, current, STRICTNESS)[0].verdict is Verdict.DRIFT
