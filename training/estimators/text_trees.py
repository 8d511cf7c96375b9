"""Boosted trees on text and numbers: the estimator of a workload whose inputs are one of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from training.estimators import boosted_trees
from training.estimators.boosted_trees import BoostedTrees
from training.estimators.errors import check_classes
from training.estimators.parts import parts, whole_graph
from training.estimators.terms import chosen_terms
from training.estimators.text_features import TextFeatures
from training.workload import Featuriser, Fitted, Labels, Matrix, Parameters, RoundReport, Rows


@dataclass(frozen=True)
class TextTrees:
    """TF-IDF of at most `terms` terms beside the numbers, then XGBoost; stateless.

    Parameters: `terms` (a way of training.estimators.terms.CHOICES), `min_df`, `ngrams` (tokens in the
    longest term), and those of training.estimators.boosted_trees.
    """

    text: str
    numbers: str
    number_names: tuple[str, ...]
    terms: int

    fits_in_shards: ClassVar[bool] = True
    """See training.workload.ShardedEstimator."""

    def featuriser_key(self, parameters: Parameters) -> tuple[str, int, int]:
        """Returns what of `parameters` the terms depend on."""
        return str(parameters["terms"]), int(parameters["min_df"]), int(parameters["ngrams"])

    def fit_featuriser(self, parameters: Parameters, train: Rows) -> TextFeatures:
        """Returns the featuriser fitted on the training rows, exported.

        Raises:
            Unlearnable: a class has no row, or no word is frequent enough.
        """
        check_classes(train.labels, boosted_trees.CLASSES)
        documents = train.inputs[self.text][:, 0].tolist()
        how, min_df, longest = self.featuriser_key(parameters)
        found = chosen_terms(
            documents, train.labels, how=how, count=self.terms, min_df=min_df, longest=longest
        )
        return TextFeatures.fit(
            documents, found, text=self.text, numbers=self.numbers, names=self.number_names
        )

    def fit(
        self,
        parameters: Parameters,
        matrix: Matrix,
        labels: Labels,
        *,
        validation: tuple[Matrix, Labels] | None = None,
        seed: int,
        on_round: RoundReport | None = None,
    ) -> BoostedTrees:
        """Returns the fitted trees; with `validation` only the rounds up to the best one.

        Raises:
            Unlearnable: see `boosted_trees.fit`.
        """
        return boosted_trees.fit(
            parameters, matrix, labels, validation=validation, seed=seed, on_round=on_round
        )

    def export(self, featuriser: Featuriser, fitted: Fitted) -> bytes:
        """Returns one ONNX graph from text and numbers to `label` and `probabilities`."""
        features, trees = parts(featuriser, fitted, (TextFeatures, BoostedTrees))
        return whole_graph(features.graph, trees, boosted_trees.CLASSES)

    def save(self, folder: Path, featuriser: Featuriser, fitted: Fitted) -> None:
        """Writes both into `folder`."""
        features, trees = parts(featuriser, fitted, (TextFeatures, BoostedTrees))
        features.save(folder)
        trees.save_native(folder)

    def load(self, folder: Path) -> tuple[TextFeatures, BoostedTrees]:
        """Returns what `save` wrote, equal in every answer."""
        return TextFeatures.load(folder), BoostedTrees.load(folder)
