"""The gate: each rule on both sides of its boundary, and missing evidence never taken for a pass."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.regression_workload import SETTINGS, dataset, workload
from training.evaluation.evaluation import Evaluated, evaluate
from training.evaluation.predictions import Predictions
from training.evaluation.results import Estimate
from training.gate import Decision, Evidence, Finding, Limits, Production, decide, limits_of
from training.settings import TrainingSettings

LIMITS = Limits(
    floors={"f1": 0.7},
    seed_margin=0.02,
    metric="f1",
    significance=0.05,
    min_unseen=30,
    max_seconds_per_row=0.001,
    max_bundle_bytes=1000,
    resamples=300,
)


@pytest.fixture(scope="module")
def candidate() -> Evaluated:
    """A real evaluation of the small workload."""
    return evaluate(workload(), dataset(), {"C": 1.0}, run_seed=1, settings=SETTINGS)


@pytest.fixture
def evidence(candidate: Evaluated) -> Evidence:
    """Evidence that keeps every rule, exactly on each boundary."""
    return Evidence(
        evaluation=candidate.evaluation,
        predictions=candidate.predictions,
        production=Production("7", candidate.predictions),
        certificate=Finding(passed=True, sentence="Every label is equal."),
        data_validation=Finding(passed=True, sentence="Every check passed."),
        expected_schema_digest="digest-of-numbers",
        bundle_schema_digest="digest-of-numbers",
        seconds_per_row=0.001,
        bundle_bytes=1000,
    )


def broken_rules(decision: Decision) -> list[str]:
    """Returns the names of the rules that were not kept."""
    assert decision.accepted == all(reason.passed for reason in decision.reasons)
    assert decision.refusals == tuple(each.sentence for each in decision.reasons if not each.passed)
    return [reason.rule for reason in decision.reasons if not reason.passed]


def sentence_on_production(decision: Decision) -> str:
    """Returns what the comparison with production found."""
    return next(each.sentence for each in decision.reasons if each.rule == "no loss against production")


def worsened(predictions: Predictions, rows: int) -> Predictions:
    """Returns answers that are turned round on the first `rows` rows that were right."""
    right = (predictions.probabilities[:, 1] >= (predictions.threshold or 0)) == (predictions.labels == 1)
    chosen = np.flatnonzero(right)[:rows]
    probabilities = predictions.probabilities.copy()
    probabilities[chosen] = np.eye(2)[1 - predictions.labels[chosen]]
    return replace(predictions, probabilities=probabilities)


def test_a_model_that_keeps_every_rule_is_accepted_with_a_sentence_for_each(evidence: Evidence) -> None:
    """Latency and size stand exactly on their limits."""
    decision = decide(evidence, LIMITS)
    assert decision.accepted
    assert [reason.rule for reason in decision.reasons] == [
        "floor", "floor on the run's seed", "no loss against production", "certificate", "schema digest",
        "data validation", "latency per row", "bundle size",
    ]  # fmt: skip
    assert all(reason.sentence.endswith(".") for reason in decision.reasons)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


@pytest.mark.parametrize(("above", "broken"), [(0.0, []), (1e-9, ["floor"])])
def test_floor_is_on_the_mean_over_the_seeds(evidence: Evidence, above: float, broken: list[str]) -> None:
    """At the floor is enough; a hair below is not."""
    mean = evidence.evaluation.record.means["f1"].value or 0
    decision = decide(evidence, replace(LIMITS, floors={"f1": mean + above}))
    assert broken_rules(decision) == broken
    assert "mean over 3 seeds" in decision.reasons[0].sentence


@pytest.mark.parametrize(("above", "broken"), [(-1e-9, []), (1e-9, ["floor on the run's seed"])])
@pytest.mark.parametrize("by_interval", [False, True])
def test_the_run_s_own_seed_has_a_floor_with_a_margin(
    evidence: Evidence, above: float, broken: list[str], by_interval: bool
) -> None:
    """A margin for what one split moves, or the end of its interval: what reaches further decides."""
    found = evidence.evaluation.figures["f1"]
    value, high = found.value or 0, found.high or 0
    assert value < high < value + 0.5
    margin = 0.0 if by_interval else 0.5
    floor = (high if by_interval else value + margin) + above
    record = evidence.evaluation.record
    good = record.model_copy(update={"means": {**record.means, "f1": Estimate(value=floor)}})
    made = replace(evidence, evaluation=evidence.evaluation.model_copy(update={"record": good}))
    decision = decide(made, replace(LIMITS, floors={"f1": floor}, seed_margin=margin))
    assert broken_rules(decision) == broken
    assert "test rows of seed 1" in decision.reasons[1].sentence


@pytest.mark.parametrize(("above", "broken"), [(0.0, []), (1e-9, ["slice floor"])])
def test_slice_floor_is_on_the_runs_test_rows(evidence: Evidence, above: float, broken: list[str]) -> None:
    """A slice has a floor of its own."""
    figure = evidence.evaluation.slices[0].figures["recall"].value or 0
    limits = replace(LIMITS, floors={"f1": 0.7, "slice:large:recall": figure + above})
    assert broken_rules(decide(evidence, limits)) == broken


@pytest.mark.parametrize(
    ("floors", "words"),
    [
        ({"slice:nobody:f1": 0.1}, "is undefined (there are no rows)"),
        ({"slice:class zero only:f1": 0.1}, "is undefined (no <i>spam</i> is here)"),
        ({"slice:mistyped:f1": 0.1}, "the data has no such slice"),
        ({"f2": 0.1}, "names no metric"),
        ({"slice:large:f2": 0.1}, "names no metric"),
        ({"log_loss": 0.1}, "names no metric with a floor"),
        ({}, "asks for no quality at all"),
    ],
)
def test_a_floor_that_cannot_be_judged_is_not_kept(
    evidence: Evidence, floors: dict[str, float], words: str
) -> None:
    """An empty slice, a mistyped name, a metric that should be small, or no floor: refused with the cause."""
    decision = decide(evidence, replace(LIMITS, floors=floors))
    assert not decision.accepted
    assert words in decision.refusals[0]


def test_a_significant_loss_is_refused_and_an_insignificant_one_is_not(evidence: Evidence) -> None:
    """Twelve rows worse of ninety is a loss; one row worse is noise; better is no loss at all."""
    much, little = worsened(evidence.predictions, 12), worsened(evidence.predictions, 1)
    lost = decide(replace(evidence, predictions=much), LIMITS)
    assert broken_rules(lost) == ["no loss against production"]
    assert "a significant loss" in lost.refusals[0]
    assert "version 7" in lost.refusals[0]
    assert decide(replace(evidence, predictions=little), LIMITS).accepted
    assert decide(replace(evidence, production=Production("7", much)), LIMITS).accepted


def test_significance_decides_on_both_sides_of_the_p_value(evidence: Evidence) -> None:
    """The same loss passes at a level equal to its p-value and fails at the next higher one."""
    worse = replace(evidence, predictions=worsened(evidence.predictions, 4))
    sentence = sentence_on_production(decide(worse, LIMITS))
    p_value = float(sentence.split("p = ")[1].split(")")[0])
    assert 0.001 < p_value < 0.9
    assert decide(worse, replace(LIMITS, significance=p_value - 0.001)).accepted
    assert not decide(worse, replace(LIMITS, significance=p_value + 0.001)).accepted


def test_without_production_nothing_can_be_lost(evidence: Evidence) -> None:
    """The first model of all passes this rule."""
    decision = decide(replace(evidence, production=None), LIMITS)
    assert decision.accepted
    assert "No model is in production" in sentence_on_production(decision)


def test_production_is_compared_on_the_rows_that_it_was_not_fitted_on(evidence: Evidence) -> None:
    """On the others it is too good; here it is right on all of them, and as the candidate elsewhere."""
    answers = evidence.predictions
    seen = np.arange(len(answers)) % 2 == 0
    knows = answers.probabilities.copy()
    knows[seen] = np.eye(2)[answers.labels[seen]]
    production = Production("7", replace(answers, probabilities=knows), seen)
    least = len(np.unique(answers.groups[~seen]))
    decision = decide(replace(evidence, production=production), replace(LIMITS, min_unseen=least))
    assert decision.accepted
    sentence = sentence_on_production(decision)
    assert f"the {int((~seen).sum())} of {len(seen)} test rows that it was not fitted on" in sentence
    assert "is +0.0000" in sentence
    few = decide(replace(evidence, production=production), replace(LIMITS, min_unseen=least + 1))
    assert f"{int(seen.sum())} of {len(seen)} of which it was fitted on" in sentence_on_production(few)
    assert "is -0." in sentence_on_production(few)


@pytest.mark.parametrize(
    ("seen", "words"), [(None, "may have been fitted on some"), (False, "none of which it was fitted on")]
)
def test_it_is_said_what_production_has_seen(evidence: Evidence, seen: bool | None, words: str) -> None:
    """A version that was registered without its rows, and one of the same split."""
    mask = None if seen is None else np.zeros(len(evidence.predictions), dtype=np.bool_)
    decision = decide(replace(evidence, production=Production("7", evidence.predictions, mask)), LIMITS)
    assert decision.accepted
    assert words in sentence_on_production(decision)


def test_production_with_other_inputs_refuses_with_the_way_out(evidence: Evidence) -> None:
    """It cannot be asked, so nothing shows that nothing is lost."""
    decision = decide(replace(evidence, production=Production("7", None)), LIMITS)
    assert broken_rules(decision) == ["no loss against production"]
    assert "another name" in decision.refusals[0]


def test_production_on_other_rows_is_no_comparison(evidence: Evidence) -> None:
    """Predictions of another split are refused, and the sentence says so."""
    other = replace(evidence.predictions, ids=evidence.predictions.ids[::-1])
    decision = decide(replace(evidence, production=Production("7", other)), LIMITS)
    assert broken_rules(decision) == ["no loss against production"]
    assert "same test rows" in decision.refusals[0]


def test_too_few_rows_to_compare_is_not_taken_for_no_loss(evidence: Evidence) -> None:
    """Six rows cannot show a loss, so they cannot rule one out."""
    few = evidence.predictions.take(np.arange(6))
    decision = decide(replace(evidence, predictions=few, production=Production("7", few)), LIMITS)
    assert broken_rules(decision) == ["no loss against production"]
    assert "cannot be judged" in decision.refusals[0]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"certificate": Finding(passed=False, sentence="3 labels differ.")}, "certificate"),
        ({"certificate": None}, "certificate"),
        ({"data_validation": Finding(passed=False, sentence="One class only.")}, "data validation"),
        ({"data_validation": None}, "data validation"),
        ({"expected_schema_digest": "another"}, "schema digest"),
        ({"bundle_schema_digest": "another"}, "schema digest"),
        ({"bundle_schema_digest": None}, "schema digest"),
        ({"seconds_per_row": 0.001001}, "latency per row"),
        ({"seconds_per_row": None}, "latency per row"),
        ({"bundle_bytes": 1001}, "bundle size"),
        ({"bundle_bytes": None}, "bundle size"),
    ],
)
def test_one_broken_rule_refuses_and_is_the_only_reason(
    evidence: Evidence, change: dict[str, Any], rule: str
) -> None:
    """The other rules are still judged, and each has its sentence."""
    decision = decide(replace(evidence, **change), LIMITS)
    assert broken_rules(decision) == [rule]
    assert len(decision.reasons) == 8


def test_the_sentence_of_another_judge_is_kept(evidence: Evidence) -> None:
    """What the certificate found is what the reader sees."""
    broken = replace(evidence, certificate=Finding(passed=False, sentence="3 labels differ."))
    assert decide(broken, LIMITS).refusals == ("3 labels differ.",)


def test_limits_come_from_settings_and_floors_from_the_workload() -> None:
    """Every number can be set."""
    settings = TrainingSettings(gate_metric="roc_auc", gate_significance=0.01, gate_max_bundle_bytes=2048)
    limits = limits_of(settings, {"f1": 0.9})
    assert (limits.metric, limits.significance, limits.max_bundle_bytes) == ("roc_auc", 0.01, 2048)
    assert limits.floors == {"f1": 0.9}
