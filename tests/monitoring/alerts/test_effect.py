"""The effect on verdicts is told with its interval, and as no change where chance does as much."""

from pathlib import Path

import numpy as np
import pytest

from monitoring.alerts import effect
from monitoring.alerts.effect import Difference, Share, difference, points
from monitoring.drift.reference import Reference, answered, reference_of
from records.repositories.prediction_windows import Labelled
from tests.monitoring.bundles import FLOWERS, flower_bundle, mail_bundle


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The reference of a model of two classes, of 900 rows."""
    return reference_of(mail_bundle(tmp_path_factory.mktemp("mails") / "1"))


def labels(spam: int, ham: int) -> list[str]:
    """Returns so many verdicts of each."""
    return ["spam"] * spam + ["ham"] * ham


def test_a_difference_is_that_of_the_literature() -> None:
    """Newcombe 1998, table II, method 10: 56/70 less 48/80, and 9/10 less 3/10."""
    assert difference(Share(48, 80), Share(56, 70)) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert difference(Share(3, 10), Share(9, 10)) == pytest.approx((0.6, 0.1705, 0.8090), abs=1e-4)


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 2,000 draws at shares like ours, at least 93.5 % of the intervals, and not all of them."""
    random = np.random.default_rng(5)
    for before, now, rows in ((0.3, 0.35, 250), (0.02, 0.05, 400), (0.5, 0.9, 60)):
        first, second = random.binomial(900, before, 2000), random.binomial(rows, now, 2000)
        found = [
            difference(Share(int(old), 900), Share(int(new), rows))
            for old, new in zip(first, second, strict=True)
        ]
        covered = np.mean([each.low <= now - before <= each.high for each in found])
        assert 0.935 <= covered < 0.985


def test_nothing_and_everything_stay_within_bounds() -> None:
    """No row is spam, every row is spam."""
    for before, now in ((0, 10), (10, 0), (0, 0), (10, 10)):
        found = difference(Share(before, 10), Share(now, 10))
        assert -1 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Difference(0.13, 0.08, 0.18), "13.0 points more (95 % interval 8.0 to 18.0)"),
        (Difference(-0.13, -0.18, -0.08), "13.0 points fewer (95 % interval 8.0 to 18.0)"),
        (Difference(0.01, -0.02, 0.04), "no change beyond chance (95 % interval -2.0 to +4.0 points)"),
    ],
)
def test_a_difference_in_words(found: Difference, words: str) -> None:
    """More, fewer, or none to speak of."""
    assert points(found) == words


def test_verdicts_that_changed_are_told_with_what_that_does_not_mean(mails: Reference) -> None:
    """Half of them spam, against a third; and the same share again is no change."""
    spam = int((answered(mails.contract, mails.probabilities) == 1).sum())
    told = effect.of_answers(mails, labels(200, 200))
    assert told.startswith(
        f"50 % of the verdicts are spam, and {100 * spam / 900:.0f} % of the reference's: "
    )
    assert "points more (95 % interval" in told
    assert "not how often it is wrong" in told
    assert "no change beyond chance" in effect.of_answers(mails, labels(spam, 900 - spam))
    assert "points fewer" in effect.of_answers(mails, labels(0, 400))


def test_verdicts_of_no_class_count_as_verdicts(mails: Reference) -> None:
    """All of them are another label: none is spam."""
    assert effect.of_answers(mails, ["eggs"] * 300).startswith("0 % of the verdicts are spam")


def test_of_many_classes_the_one_that_changed_most_is_told(tmp_path: Path) -> None:
    """At a level that knows it was chosen: wider than for two classes."""
    flowers = reference_of(flower_bundle(tmp_path / "1"))
    told = effect.of_answers(flowers, [FLOWERS[2]] * 90 + [FLOWERS[0]] * 10)
    assert told.startswith("90 % of the verdicts are virginica")
    known = answered(flowers.contract, flowers.probabilities)
    share = Share(int((known == 2).sum()), len(known))
    plain = points(difference(share, Share(90, 100)))
    assert plain not in told


def test_labels_tell_how_many_verdicts_were_wrong(mails: Reference) -> None:
    """A label that the model has no class for is left out."""
    labelled = Labelled(
        [str(at) for at in range(101)],
        np.zeros(101, dtype="datetime64[us]"),
        np.full(101, 0.5),
        ["spam"] * 101,
        ["spam"] * 60 + ["ham"] * 40 + ["eggs"],
    )
    told = effect.of_labels(mails, labelled)
    assert told.startswith("40 % of 100 labelled verdicts are wrong, and ")
    assert "points more" in told
    assert "what people label" in told
