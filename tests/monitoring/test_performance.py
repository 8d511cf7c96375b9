"""Live figures and estimates: they fire when answers got worse, and are quiet when they did not."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from contracts.environments import Environment
from contracts.tensors import SPAM_DETECTOR
from kit.home import Home
from monitoring.drift.reference import Reference, reference_of
from monitoring.performance.confusion import confusion, figures
from monitoring.performance.estimate import calibrated
from monitoring.performance.intervals import wilson
from monitoring.performance.job import performance
from monitoring.performance.live import Tolerance, certificate, judged, promised
from monitoring.performance.result import LivePerformance
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import metrics
from records.repositories.prediction_windows import Served
from tests.monitoring.bundles import FLOWER, flower_bundle
from tests.monitoring.traffic import after, record, resampled, rows_of, say

SERVED = Served(SPAM_DETECTOR, Environment.PRODUCTION, "1")


async def found(
    records: Records, settings: MonitoringSettings, reference: Reference, served: Served = SERVED
) -> dict[bool, LivePerformance]:
    """Returns the performance two hours after noon, by whether it is an estimate."""
    nowhere = Home(Path("no-console-and-no-report"))
    judged = await performance(records, nowhere, settings, reference, served, now=after(2))
    return {result.estimate: result for result in judged.figures}


def truths(reference: Reference, chosen: np.ndarray) -> list[str]:
    """Returns the true labels of rows of the reference."""
    return [reference.contract.classes[int(at)] for at in reference.truth[chosen]]


async def test_labels_that_agree_with_the_certificate_are_quiet(
    records: Records, settings: MonitoringSettings, reference: Reference
) -> None:
    """The figures are those of the reference, with intervals, and are kept as a series."""
    chosen = resampled(reference, 300)
    rows = rows_of(reference, chosen)
    await record(records, rows)
    await say(records, rows, truths(reference, chosen))
    live = (await found(records, settings, reference))[False]
    assert (live.rows, live.of_rows, live.degraded, live.concept_drift) == (300, 300, False, False)
    assert [figure.name for figure in live.figures] == ["precision", "recall", "f1", "specificity"]
    for figure in live.figures:
        assert figure.low <= figure.value <= figure.high
        assert figure.low <= figure.certificate <= figure.high
    async with records.reading() as session:
        wanted = metrics.Series(model_name=SPAM_DETECTOR, source="production", metric="live_recall")
        (kept,) = await metrics.series(session, wanted)
    assert kept.value == pytest.approx(live.figures[1].value)


async def test_labels_that_contradict_the_model_are_a_concept_drift(
    records: Records, settings: MonitoringSettings, reference: Reference
) -> None:
    """A third of what was called ham is spam by now; the estimate, from scores alone, cannot see it."""
    chosen = resampled(reference, 300)
    rows = rows_of(reference, chosen)
    await record(records, rows)
    labels = [
        "spam" if row.label == "ham" and at % 3 == 0 else true
        for at, (row, true) in enumerate(zip(rows, truths(reference, chosen), strict=True))
    ]
    await say(records, rows, labels)
    both = await found(records, settings, reference)
    assert both[False].concept_drift
    assert both[False].degraded
    worse = [figure.name for figure in both[False].figures if figure.worse]
    assert "recall" in worse
    assert "specificity" not in worse
    assert "recall" in both[False].sentence
    assert (both[True].degraded, both[True].concept_drift) == (False, False)
    assert "estimate" in both[True].notes[0]


async def test_too_few_labels_give_no_live_figure(
    records: Records, settings: MonitoringSettings, reference: Reference
) -> None:
    """One below the least number; and one of them more is enough."""
    chosen = resampled(reference, 250)
    rows = rows_of(reference, chosen)
    await record(records, rows)
    await say(records, rows[:49], truths(reference, chosen[:49]))
    assert list(await found(records, settings, reference)) == [True]
    await say(records, rows[49:50], truths(reference, chosen[49:50]))
    assert list(await found(records, settings, reference)) == [False, True]


async def test_complaints_only_are_told_to_be_no_random_choice(
    records: Records, settings: MonitoringSettings, reference: Reference
) -> None:
    """People label what was called spam, and one label is of no class."""
    rows = rows_of(reference, resampled(reference, 400))
    await record(records, rows)
    spam = [row for row in rows if row.label == "spam"][:80]
    await say(records, spam, ["ham"] * 79 + ["eggs"])
    live = (await found(records, settings, reference))[False]
    assert live.rows == 79
    assert any("no random choice" in note for note in live.notes)
    assert any("1 labels are of no class" in note for note in live.notes)
    assert [figure.name for figure in live.figures] == ["precision", "f1", "specificity"]


async def test_the_estimate_falls_when_scores_become_unsure(
    records: Records, settings: MonitoringSettings, reference: Reference
) -> None:
    """Nearly all scores lie just above the threshold: about half of the spam must be ham."""
    rows = rows_of(reference, resampled(reference, 300), label="spam", probability=0.55)
    await record(records, rows)
    estimate = (await found(records, settings, reference))[True]
    precision = next(figure for figure in estimate.figures if figure.name == "precision")
    assert precision.worse
    assert precision.high < 0.8
    assert estimate.degraded
    assert not estimate.concept_drift


async def test_with_three_classes_the_figure_is_the_accuracy(
    records: Records, home: Home, settings: MonitoringSettings
) -> None:
    """Quiet with true labels, degraded with wrong ones; an estimate comes along."""
    flowers = reference_of(flower_bundle(home.bundles / FLOWER / "1"))
    served = Served(FLOWER, Environment.PRODUCTION, "1")
    chosen = resampled(flowers, 240)
    rows = rows_of(flowers, chosen)
    await record(records, rows)
    await say(records, rows[:100], truths(flowers, chosen[:100]))
    quiet = await found(records, settings, flowers, served)
    assert [figure.name for figure in quiet[False].figures] == ["accuracy"]
    assert (quiet[False].degraded, quiet[True].degraded) == (False, False)
    await say(records, rows[100:240], ["setosa"] * 140)
    assert (await found(records, settings, flowers, served))[False].degraded


def test_a_fall_within_the_noise_of_both_samples_is_none(reference: Reference) -> None:
    """Of 20 draws of 100 rows each from the reference, none is worse; the seeds are fixed."""
    counts, stated = certificate(reference), promised(reference)
    for seed in range(20):
        drawn = np.random.default_rng(seed).multinomial(100, (counts / counts.sum()).ravel()).reshape(2, 2)
        assert not any(figure.worse for figure in judged(drawn.astype(float), counts, stated, Tolerance()))


def test_wilson_is_that_of_scipy() -> None:
    """Also at the ends; of nothing it is everything."""
    for hits, of in ((0, 10), (3, 10), (10, 10), (950, 1000)):
        expected = binomtest(hits, of).proportion_ci(method="wilson")
        assert wilson(hits, of) == pytest.approx((expected.low, expected.high))
    assert wilson(0, 0) == (0, 1)


def test_figures_of_nothing_are_none() -> None:
    """No spam was said and none was there: there is no precision, and no division."""
    counts = confusion(np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64), 2)
    values = figures(counts)
    assert np.isnan(values["precision"])
    assert np.isnan(values["recall"])
    assert values["specificity"] == 1


def test_calibration_undoes_a_score_that_promises_too_much() -> None:
    """Scores of 0.9 that come true half of the time mean one half."""
    random = np.random.default_rng(1)
    known = random.choice([0.1, 0.9], 4000)
    true = (random.random(4000) < np.where(known > 0.5, 0.5, 0.1)).astype(float)
    assert calibrated(known, true, np.array([0.1, 0.9])) == pytest.approx([0.1, 0.5], abs=0.03)
