"""The whole evaluation: what it holds, what it refuses, and that it is fitted on training rows only."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from kit.errors import Bug, CallerError
from tests.training.regression_workload import SETTINGS, RegressionEstimator, dataset, workload
from training.evaluation.details import MOST_ERRORS
from training.evaluation.evaluation import Evaluated, evaluate
from training.evaluation.models import SplitUnusable
from training.evaluation.results import Evaluation
from training.metrics import METRICS, PredictionsInvalid, answers
from training.workload import Dataset, Rows, Splits, Workload

PARAMETERS = {"C": 1.0}


def evaluated(data: Dataset | None = None, work: Workload | None = None, **more: Any) -> Evaluated:
    """Returns the evaluation of the small workload."""
    return evaluate(work or workload(), data or dataset(), PARAMETERS, run_seed=1, settings=SETTINGS, **more)


@pytest.fixture(scope="module")
def two() -> Evaluated:
    """The evaluation with two classes."""
    return evaluated()


@pytest.fixture(scope="module")
def three() -> Evaluated:
    """The evaluation with three classes."""
    return evaluated(dataset(3), workload(("red", "green", "blue")))


def test_record_is_the_mean_over_the_seeds_with_its_interval(two: Evaluated) -> None:
    """Each seed has figures of its own, and the interval surrounds their mean."""
    record = two.evaluation.record
    figures = [seed.figures["f1"].value for seed in record.seeds]
    assert [seed.seed for seed in record.seeds] == [0, 1, 2]
    assert len(set(figures)) > 1
    mean = record.means["f1"]
    assert mean.value == pytest.approx(np.mean([figure for figure in figures if figure is not None]))
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low < (mean.value or 0) < mean.high <= 1


def test_details_are_of_the_runs_seed(two: Evaluated) -> None:
    """The test split's figures are those of that seed in the record, and scikit-learn's."""
    evaluation, judged = two
    assert judged.ids.tolist() == dataset().rows.ids[dataset().split(1).test].tolist()
    answered = answers(judged.probabilities, judged.threshold)
    assert evaluation.figures["f1"].value == pytest.approx(f1_score(judged.labels, answered))
    assert evaluation.figures["f1"].value == evaluation.record.seeds[1].figures["f1"].value
    assert evaluation.confusion == tuple(map(tuple, confusion_matrix(judged.labels, answered).tolist()))
    assert evaluation.rows == {"train": 420, "validation": 90, "test": 90}
    assert evaluation.threshold is not None
    assert evaluation.threshold.value == judged.threshold


def test_each_model_is_fitted_on_the_training_rows_of_its_own_split() -> None:
    """For each seed the featuriser saw the training rows of that seed, and no other."""
    seen: list[frozenset[str]] = []

    class Watched(RegressionEstimator):
        def fit_featuriser(self, parameters: Any, train: Rows) -> Any:
            seen.append(frozenset(train.ids.tolist()))
            return super().fit_featuriser(parameters, train)

    data = dataset(ablations={}, split_by_time=None)
    work = workload()
    evaluated(data, replace(work, estimator=Watched()))
    expected = {frozenset(data.rows.ids[data.split(seed).train].tolist()) for seed in (0, 1, 2)}
    assert set(seen) == expected
    assert len(seen) == 3


def test_the_model_that_would_be_released_is_the_one_that_is_judged() -> None:
    """A fitted model that is handed in is used for the run's seed, and is not fitted again."""
    data, work = dataset(), workload()
    train = data.rows.take(data.split(1).train)
    featuriser = work.estimator.fit_featuriser(PARAMETERS, train)
    weak = work.estimator.fit({"C": 1e-6}, featuriser.matrix(train.inputs), train.labels, seed=1)
    given = evaluated(model=(featuriser, weak))
    matrix = featuriser.matrix(data.rows.take(data.split(1).test).inputs)
    assert np.array_equal(given.predictions.probabilities, weak.probabilities(matrix).astype(np.float64))
    evaluation = given.evaluation
    assert evaluation.record.seeds[1].figures["log_loss"].value == evaluation.figures["log_loss"].value


def test_an_evaluation_is_json_without_nan_and_comes_back_the_same(two: Evaluated, three: Evaluated) -> None:
    """Every figure is a number with an interval, or None with its reason."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for evaluation, _ in (two, three):
        text = evaluation.model_dump_json()
        json.loads(text, parse_constant=refuse)
        assert Evaluation.model_validate_json(text) == evaluation
        assert list(evaluation.figures) == list(METRICS)
        for figure in evaluation.figures.values():
            assert figure.value is not None or figure.reason


def test_the_same_input_gives_the_same_evaluation(two: Evaluated) -> None:
    """Nothing depends on a clock or on an unseeded draw."""
    assert evaluated().evaluation == two.evaluation


def test_slices_have_figures_counts_and_reasons(two: Evaluated) -> None:
    """A slice of one class and an empty one are told as such."""
    large, zero, nobody = two.evaluation.slices
    assert large.figures["f1"].value is not None
    assert zero.figures["f1"].reason == "no <i>spam</i> is here"
    assert zero.figures["specificity"].value is not None
    assert zero.by_class["<i>spam</i>"] == 0
    assert nobody.rows == 0
    assert {figure.reason for figure in nobody.figures.values()} == {"there are no rows"}


def test_an_ablation_shows_what_a_feature_is_worth(two: Evaluated) -> None:
    """Without the two numbers that tell the classes apart, ranking is significantly worse."""
    (ablation,) = two.evaluation.ablations
    lost = ablation.differences["roc_auc"]
    assert lost.high is not None
    assert lost.high < 0


def test_evasions_cost_recall_and_no_change_costs_none(two: Evaluated) -> None:
    """Only rows of the second class are evaded; the untouched ones keep their recall."""
    nothing, blank = two.evaluation.perturbations
    rows = two.predictions
    assert nothing.rows == blank.rows == (rows.labels == 1).sum()
    assert nothing.recall_lost.value == 0
    assert blank.recall_lost.value == pytest.approx(
        (blank.recall_before.value or 0) - (blank.recall_after.value or 0)
    )
    assert (blank.recall_lost.value or 0) > 0.5


def test_a_perturbation_of_other_rows_is_a_bug() -> None:
    """Recall before and after is of the same rows, or of none."""
    data = dataset()
    wrong = dataset(perturbations={"other": lambda rows: data.rows.take(rows - rows)})
    with pytest.raises(Bug, match="perturbation other"):
        evaluated(wrong)


def test_more_than_two_classes_have_no_threshold_and_a_curve_each(three: Evaluated) -> None:
    """The most probable class is the answer; recall is the mean over the classes."""
    evaluation, judged = three
    assert evaluation.threshold is None
    assert [curve.class_name for curve in evaluation.curves] == ["red", "green", "blue"]
    expected = recall_score(judged.labels, judged.probabilities.argmax(axis=1), average="macro")
    assert evaluation.figures["recall"].value == pytest.approx(expected)
    assert evaluation.importance_reason == "this estimator cannot tell what each feature adds"
    assert evaluation.time_ordered is not None
    assert [each.threshold for each in evaluation.time_ordered.corrections] == [None, None, None]


def test_curve_runs_from_nothing_to_everything_and_holds_the_thresholds_own_point(two: Evaluated) -> None:
    """Recall never falls; the last point calls every row."""
    (curve,) = two.evaluation.curves
    recalls = [point.recall for point in curve.points]
    assert recalls == sorted(recalls)
    last = curve.points[-1]
    assert (last.recall, last.false_positive_rate) == (1, 1)
    assert last.precision == pytest.approx((two.predictions.labels == 1).mean())
    assert len(curve.points) <= 250


def test_time_ordered_correction_helps_where_a_class_became_rare() -> None:
    """Half before, a twentieth after: the share is found, and log loss falls almost as with the oracle."""
    found = evaluated(dataset(rows=3000, shift=0.05, ablations={}, perturbations={})).evaluation.time_ordered
    assert found is not None
    none, guessed, oracle = found.corrections
    assert [each.name for each in found.corrections] == ["none", "estimated", "oracle"]
    assert found.train_shares["ham"] == pytest.approx(0.5, abs=0.05)
    assert guessed.prior["<i>spam</i>"] == pytest.approx(found.test_shares["<i>spam</i>"], abs=0.03)
    losses = [each.figures["log_loss"].value or 0 for each in (none, guessed, oracle)]
    assert losses[1] < 0.7 * losses[0]
    assert losses[1] == pytest.approx(losses[2], rel=0.15)


def test_estimated_prior_does_not_look_at_the_test_labels() -> None:
    """Other labels on the same future rows: the estimate stays, the oracle moves."""
    data = dataset(shift=0.1, ablations={}, perturbations={})
    labels = data.rows.labels.copy()
    labels[510:] = 1 - labels[510:]
    turned = replace(data, rows=Rows(data.rows.inputs, labels, data.rows.ids))
    first, second = (evaluated(each).evaluation.time_ordered for each in (data, turned))
    assert first is not None
    assert second is not None
    assert first.corrections[1].prior == second.corrections[1].prior
    assert first.corrections[2].prior != second.corrections[2].prior


def test_data_without_dates_or_with_useless_ones_says_so() -> None:
    """The rest of the evaluation stands."""

    def no_order() -> Splits:
        raise CallerError("Fewer than three messages have a date.")

    undated = evaluated(dataset(split_by_time=None)).evaluation
    assert (undated.time_ordered, undated.time_ordered_reason) == (None, "the data has no dates")
    useless = evaluated(dataset(split_by_time=no_order)).evaluation
    assert useless.time_ordered_reason == "Fewer than three messages have a date."


def test_mistakes_are_listed_with_the_most_confident_first(two: Evaluated) -> None:
    """Each with its title, and all are counted."""
    evaluation, judged = two
    wrong = answers(judged.probabilities, judged.threshold) != judged.labels
    assert evaluation.error_count == wrong.sum() > 0
    assert len(evaluation.errors) == min(MOST_ERRORS, evaluation.error_count)
    sure = [error.probability for error in evaluation.errors]
    assert sure == sorted(sure, reverse=True)
    first = evaluation.errors[0]
    assert first.label != first.predicted
    assert first.title == dataset().titles[int(first.id.removeprefix("row-"))]


def test_a_title_that_is_no_text_is_kept_as_escapes() -> None:
    """Bytes that were never decoded do not break the JSON."""
    found = evaluated(dataset(titles=["\udcff subject"] * 600, ablations={}, split_by_time=None)).evaluation
    assert found.errors[0].title == "\\udcff subject"
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_importance_is_the_mean_contribution_on_the_test_rows(two: Evaluated) -> None:
    """The two numbers that tell the classes apart come first."""
    evaluation = two.evaluation
    assert {item.feature for item in evaluation.importance[:2]} == {
        "<b>number 0</b> | pipe",
        "<b>number 1</b> | pipe",
    }
    assert evaluation.importance_reason is None


def test_progress_is_told_to_the_end() -> None:
    """One call a step, in order, up to the announced total."""
    told: list[tuple[int, int, str]] = []
    evaluated(on_step=lambda *step: told.append(step))
    assert [done for done, _, _ in told] == list(range(1, 9))
    assert {total for _, total, _ in told} == {8}
    assert "seed 2" in [what for _, _, what in told]


def test_test_rows_of_one_class_leave_figures_undefined_and_nothing_else() -> None:
    """The mean says on which seed, and why."""
    data = dataset(ablations={}, perturbations={}, split_by_time=None)

    def split(seed: int) -> Splits:
        parts = data.split(seed)
        if seed == 2:
            return parts._replace(test=parts.test[data.rows.labels[parts.test] == 0])
        return parts

    means = evaluated(replace(data, split=split)).evaluation.record.means
    assert means["f1"].value is None
    assert means["f1"].reason == "undefined on seed 2: no <i>spam</i> is here"
    assert means["accuracy"].value is not None


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_an_empty_part_is_refused(part: str) -> None:
    """Nothing is learned or judged on nothing."""
    data = dataset()
    empty = np.array([], dtype=np.intp)
    broken = dataset(split=lambda seed: data.split(seed)._replace(**{part: empty}))
    with pytest.raises(SplitUnusable, match=f"no row is left for {part}"):
        evaluated(broken)


def test_training_rows_of_one_class_are_refused_by_name() -> None:
    """The message names the class that is missing."""
    data = dataset()

    def split(seed: int) -> Splits:
        parts = data.split(seed)
        return parts._replace(train=parts.train[data.rows.labels[parts.train] == 0])

    with pytest.raises(SplitUnusable, match="hold no <i>spam</i>"):
        evaluated(dataset(split=split))


def test_a_split_that_divides_copies_is_refused() -> None:
    """One row of a pair in training, the other in test: the figures would flatter."""
    data = dataset()

    def split(seed: int) -> Splits:
        train, validation, test = data.split(seed)
        return Splits(train[1:], validation, np.append(test, train[0]))

    with pytest.raises(SplitUnusable, match="1 groups of copies are in train and in test"):
        evaluated(dataset(split=split))
    evaluated(dataset(split=split, groups=(), ablations={}, perturbations={}, split_by_time=None))


def _with_nan(answered: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.arange(len(answered))[:, None] == 3, np.nan, answered)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(_with_nan, "row 3 has a probability that is not a number"), (lambda each: each[:, :1], "shape")],
)
def test_a_model_that_gives_no_probabilities_is_refused(spoil: Any, words: str) -> None:
    """NaN, or another number of classes than the contract has."""
    with pytest.raises(PredictionsInvalid, match=words):
        evaluated(work=workload(spoil=spoil))


def test_tiny_data_is_judged_without_intervals() -> None:
    """Six test rows in three groups: figures, and a reason instead of an interval."""
    found = evaluated(dataset(rows=40, perturbations={}, split_by_time=None)).evaluation
    accuracy = found.figures["accuracy"]
    assert accuracy.value is not None
    assert accuracy.low is None
    assert "too few" in (accuracy.reason or "")
