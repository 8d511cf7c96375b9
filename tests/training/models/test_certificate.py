"""The certificate passes what is right and refuses every known way in which an export goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import pytest
import xgboost
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from kit.onnx_function import OnnxFunction
from tests.training.models.conftest import PARAMETERS, FittedModel
from training.certificate import TOLERANCE, ParityRefused, certify
from training.estimators.boosted_trees import BoostedTrees, fit
from training.estimators.graph import text_and_numbers_graph
from training.estimators.number_forest import NumberForest
from training.estimators.text_features import TOKENS, TextFeatures
from training.export import export
from training.workload import Dataset, Matrix, Rows, Workload

pytestmark = pytest.mark.xdist_group("models")  # one worker fits the model that they share

FEW = {"text": np.array([["free money"]], dtype=object), "numeric": np.zeros((1, 24), dtype=np.float32)}


def test_exported_mail_model_is_certified_over_all_rows_and_edge_rows(mail_model: FittedModel) -> None:
    """Labels are equal, no probability is off by more than 1e-6, and a batch answers as single rows do."""
    model = export(mail_model.workload, mail_model.featuriser, mail_model.fitted)
    edges = mail_model.workload.edge_inputs()
    parity = certify(model, mail_model.featuriser, mail_model.fitted, mail_model.rows, edges)
    assert (parity.rows, parity.edge_rows) == (len(mail_model.rows), len(edges["text"]))
    assert parity.max_probability_difference <= TOLERANCE
    assert parity.max_single_row_difference <= TOLERANCE
    assert parity.max_feature_difference is not None
    assert 0 < parity.max_feature_difference < 1e-6
    assert parity.single_rows == len(mail_model.rows) + len(edges["text"])
    assert parity.speedup > 1


def test_exported_forest_is_certified(flowers: tuple[Workload, Dataset, Any, Any]) -> None:
    """A forest of three classes passes the same certificate; no second library computes its features."""
    workload, data, featuriser, fitted = flowers
    model = export(workload, featuriser, fitted)
    parity = certify(model, featuriser, fitted, data.rows, workload.edge_inputs())
    assert parity.max_probability_difference <= TOLERANCE
    assert parity.max_feature_difference is None


def test_forest_of_many_trees_with_mixed_leaves_stays_within_the_tolerance(
    flowers: tuple[Workload, Dataset, Any, Any],
) -> None:
    """Adding up whole votes keeps 300 trees exact; shares of votes were off by more than the tolerance."""
    workload, data, featuriser, _ = flowers
    parameters = {"n_estimators": 300, "max_depth": 3, "min_samples_leaf": 4}
    fitted = workload.estimator.fit(parameters, featuriser.matrix(data.rows.inputs), data.rows.labels, seed=2)
    model = export(workload, featuriser, fitted)
    parity = certify(model, featuriser, fitted, data.rows, workload.edge_inputs())
    assert parity.max_probability_difference <= TOLERANCE


def test_forest_of_two_classes_is_certified(flowers: tuple[Workload, Dataset, Any, Any]) -> None:
    """Of two classes the graph counts votes for the second only; the first has the rest of the trees'."""
    workload, data, _, _ = flowers
    (name,) = (tensor.name for tensor in workload.contract.inputs)
    outputs = tuple(
        tensor.model_copy(update={"shape": (2,)}) if tensor.shape else tensor
        for tensor in workload.contract.outputs
    )
    contract = replace(workload.contract, classes=("short", "long"), outputs=outputs)
    forest = NumberForest(name, workload.contract.input_columns[name], classes=2)
    two = replace(workload, contract=contract, estimator=forest)
    rows = replace(data.rows, labels=np.minimum(data.rows.labels, 1))
    features = forest.fit_featuriser({}, rows)
    for leaf in (1, 4):
        parameters = {"n_estimators": 100, "max_depth": 4, "min_samples_leaf": leaf}
        fitted = forest.fit(parameters, features.matrix(rows.inputs), rows.labels, seed=0)
        parity = certify(export(two, features, fitted), features, fitted, rows, workload.edge_inputs())
        assert parity.max_probability_difference <= TOLERANCE


class SparseTrees(BoostedTrees):
    """What comes of fitting on a sparse matrix: an absent entry is missing, and not a zero."""

    def _rows(self, matrix: Matrix) -> Any:
        return xgboost.DMatrix(csr_matrix(matrix))


def test_trees_fitted_on_a_sparse_matrix_are_refused(mail_model: FittedModel) -> None:
    """The graph reads zeros where the trees saw missing values."""
    labels = mail_model.rows.labels[mail_model.train]
    rows = xgboost.DMatrix(csr_matrix(mail_model.matrix[mail_model.train]), labels)
    fitted = SparseTrees.of(xgboost.train({"objective": "binary:logistic", "nthread": 1}, rows, 20))
    refused = _refused(mail_model, mail_model.featuriser, fitted)
    assert {mismatch.what for mismatch in refused.mismatches} >= {"probability"}


class LibraryFeatures(TextFeatures):
    """A featuriser that answers with scikit-learn's floats instead of the graph's."""

    def matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns scikit-learn's floats."""
        return self.fitted_matrix(inputs)


def test_trees_fitted_on_the_librarys_own_floats_are_refused(mail_model: FittedModel) -> None:
    """The floats differ in the last bit, and a value on a split takes the other branch."""
    plain = mail_model.featuriser
    features = LibraryFeatures(
        plain.text, plain.numbers, plain.number_names, plain.terms, plain.idf, plain.graph
    )
    matrix = features.matrix(mail_model.rows.inputs)
    assert (matrix != mail_model.matrix).any()
    np.testing.assert_allclose(matrix, mail_model.matrix, rtol=1e-6)
    fitted = fit(PARAMETERS | {"max_depth": 8}, matrix, mail_model.rows.labels, seed=1)
    refused = _refused(mail_model, features, fitted)
    assert {mismatch.row for mismatch in refused.mismatches} <= set(mail_model.rows.ids)


class SublinearFeatures(TextFeatures):
    """A vectoriser with sublinear_tf, which skl2onnx exports as if it had none."""

    @cached_property
    def _fitted(self) -> Any:
        vectoriser = TfidfVectorizer(
            **TOKENS, vocabulary=list(self.terms), ngram_range=(1, 2), norm=None, sublinear_tf=True
        )
        vectoriser.idf_ = np.asarray(self.idf)
        return vectoriser


def test_sublinear_tf_is_refused_though_trees_and_graph_agree(mail_model: FittedModel) -> None:
    """The trees are fitted on the graph's own wrong features: only the second opinion shows it."""
    plain = mail_model.featuriser
    sublinear = SublinearFeatures(
        plain.text, plain.numbers, plain.number_names, plain.terms, plain.idf, plain.graph
    )
    converted = text_and_numbers_graph(sublinear._fitted, plain.text, plain.numbers, 24)
    features = SublinearFeatures(
        plain.text,
        plain.numbers,
        plain.number_names,
        plain.terms,
        plain.idf,
        OnnxFunction(converted.SerializeToString()),
    )
    fitted = fit(PARAMETERS, features.matrix(mail_model.rows.inputs), mail_model.rows.labels, seed=1)
    refused = _refused(mail_model, features, fitted)
    assert {mismatch.what for mismatch in refused.mismatches} == {"feature"}


@dataclass(frozen=True)
class Unsliced(BoostedTrees):
    """Trees that stop early when asked, and still hold every round when exported."""

    best: int = 0

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns what the rounds up to the best one say."""
        spam = self.booster.predict(self._rows(matrix), iteration_range=(0, self.best))
        return np.stack([1 - spam, spam], axis=1).astype(np.float32)


def test_forgotten_early_stopping_slice_is_refused(mail_model: FittedModel) -> None:
    """The graph holds rounds after the best one, which the estimator does not use."""
    labels = mail_model.rows.labels[mail_model.train]
    names = [f"f{column}" for column in range(mail_model.matrix.shape[1])]
    rows = xgboost.DMatrix(mail_model.matrix[mail_model.train], labels, feature_names=names)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, rows, 30)
    whole = Unsliced.of(booster)
    fitted = Unsliced(whole.saved, whole.features, best=20)
    assert fitted.rounds == 30
    _refused(mail_model, mail_model.featuriser, fitted)


def test_wrong_base_score_is_refused(mail_model: FittedModel) -> None:
    """A graph whose starting point is another than the booster's is off on every row."""
    model = onnx.load_from_string(export(mail_model.workload, mail_model.featuriser, mail_model.fitted))
    (trees,) = (node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier")
    (base,) = (item for item in trees.attribute if item.name == "base_values")
    base.floats[:] = [value + 0.1 for value in base.floats]
    with pytest.raises(ParityRefused) as caught:
        _certify(mail_model, model.SerializeToString())
    assert {mismatch.row for mismatch in caught.value.mismatches} >= set(mail_model.rows.ids)
    assert len(caught.value.reasons) == 21
    assert caught.value.reasons[0].startswith(f"Row {mail_model.rows.ids[0]}: probability: estimator ")


def test_label_that_does_not_follow_the_probabilities_is_refused(mail_model: FittedModel) -> None:
    """A graph with right probabilities and the label of the smallest one is wrong on every row."""
    model = onnx.load_from_string(export(mail_model.workload, mail_model.featuriser, mail_model.fitted))
    (label,) = (node for node in model.graph.node if node.op_type == "ArgMax")
    label.op_type = "ArgMin"
    with pytest.raises(ParityRefused) as caught:
        _certify(mail_model, model.SerializeToString())
    kinds = {mismatch.what for mismatch in caught.value.mismatches}
    assert kinds == {"label", "label of its own probabilities"}


def test_terms_of_two_tokens_that_the_converter_splits_by_guessing_are_refused(
    mail_model: FittedModel,
) -> None:
    """skl2onnx leaves them whole where it cannot guess, and then they never match."""
    documents = ["free money now", "free tickets", "money for you"] * 3
    features = TextFeatures.fit(
        documents, ["free", "money now"], text="text", numbers="numeric", names=[f"n{at}" for at in range(24)]
    )
    inputs = {
        "text": np.array(documents, dtype=object).reshape(-1, 1),
        "numeric": np.zeros((9, 24), dtype=np.float32),
    }
    np.testing.assert_allclose(features.matrix(inputs), features.fitted_matrix(inputs), atol=1e-6)
    blind = onnx.load_from_string(features.graph.model)
    (terms,) = (node for node in blind.graph.node if node.op_type == "TfIdfVectorizer")
    (pool,) = (item for item in terms.attribute if item.name == "pool_strings")
    pool.strings[:] = [b"never" if word == b"now" else word for word in pool.strings]
    labels = np.array([1, 1, 0] * 3)
    broken = replace(features, graph=OnnxFunction(blind.SerializeToString()))
    fitted = fit(PARAMETERS, broken.matrix(inputs), labels, seed=1)
    rows = Rows(inputs, labels, np.array([f"mail-{at}" for at in range(9)]))
    with pytest.raises(ParityRefused) as caught:
        certify(export(mail_model.workload, broken, fitted), broken, fitted, rows, FEW)
    assert {mismatch.row for mismatch in caught.value.mismatches} == {"mail-0", "mail-3", "mail-6"}


class NanTrees(BoostedTrees):
    """An estimator without an answer."""

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns no numbers."""
        return np.full((len(matrix), 2), np.nan, dtype=np.float32)


def test_probability_that_is_no_number_is_refused(mail_model: FittedModel) -> None:
    """NaN is near nothing, also not itself."""
    model = export(mail_model.workload, mail_model.featuriser, mail_model.fitted)
    fitted = NanTrees(mail_model.fitted.saved, mail_model.fitted.features)
    with pytest.raises(ParityRefused):
        certify(model, mail_model.featuriser, fitted, mail_model.rows, FEW)


class TiedForest:
    """A fitted estimator of which every answer is a tie, decided by rounding for the second class."""

    rounds = 1

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns ties."""
        answers = np.full((len(matrix), 2), 0.5, dtype=np.float32)
        answers[:, 1] += np.float32(1e-7)
        return answers

    def contributions(self, _matrix: Matrix) -> None:
        """Returns None."""

    def save_native(self, _folder: Any) -> tuple[str, ...]:
        """Writes nothing."""
        return ()


def test_at_a_tie_either_class_is_right_and_ties_are_counted(mail_model: FittedModel) -> None:
    """Trees that answer 0.5 everywhere: the graph says class 0, and rounding may make it class 1."""
    matrix = np.zeros((4, mail_model.matrix.shape[1]), dtype=np.float32)
    matrix[2:, -1] = 1e9
    settings = {"objective": "binary:logistic", "base_score": 0.5, "min_child_weight": 0, "nthread": 1}
    even = BoostedTrees.of(xgboost.train(settings, xgboost.DMatrix(matrix, np.array([0, 1, 1, 1])), 1))
    model = export(mail_model.workload, mail_model.featuriser, even)
    parity = certify(model, mail_model.featuriser, TiedForest(), mail_model.rows, FEW)
    assert parity.ties == len(mail_model.rows) + 1


def _refused(model: FittedModel, features: TextFeatures, fitted: BoostedTrees) -> ParityRefused:
    """Exports as the platform does, and returns the certificate's refusal."""
    exported = export(model.workload, features, fitted)
    with pytest.raises(ParityRefused) as caught:
        certify(exported, features, fitted, model.rows, FEW)
    assert caught.value.mismatches
    return caught.value


def _certify(model: FittedModel, exported: bytes) -> None:
    certify(exported, model.featuriser, model.fitted, model.rows, FEW)
