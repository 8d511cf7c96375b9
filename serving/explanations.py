"""Explanations: which terms and numbers moved one answer, and by how much.

SHAP values of tree ensembles (Lundberg et al. 2020, "From local explanations to global understanding with
explainable AI for trees"), as XGBoost computes them from the bundle's own trees on the matrix that the
bundle's own graph makes. They are exact: with the base value they add up to the log odds of the answer.
Errors::

    CallerError
    └── NotExplainable   422  the bundle has no native form of its estimator
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import NATIVE_FEATURES, NATIVE_MODEL
from contracts.explanations import Contribution, Explanation
from kit.bundle import Bundle
from kit.errors import CallerError
from kit.onnx_function import OnnxFunction

TOP: Final = 10


class NotExplainable(CallerError):
    """The bundle's answers cannot be taken apart."""

    status = 422
    code = "not_explainable"
    title = "This model gives no explanations"


class Explainer:
    """Explains the answers of one bundle; one object serves many threads. Making it imports XGBoost."""

    def __init__(self, bundle: Bundle) -> None:
        """Reads the native form of the estimator.

        Raises:
            NotExplainable: the bundle has none.
        """
        absent = {NATIVE_MODEL, NATIVE_FEATURES} - bundle.contract.files.keys()
        if absent:
            raise NotExplainable(
                f"The bundle of {bundle.contract.workload} holds no {' and no '.join(sorted(absent))}.",
                next_step="Ask without an explanation; boosted trees on one feature matrix have them.",
            )
        import xgboost

        self._contract = bundle.contract
        self._features = OnnxFunction((bundle.folder / NATIVE_FEATURES).read_bytes())
        self._booster = xgboost.Booster(model_file=str(bundle.folder / NATIVE_MODEL))
        self._booster.set_param({"nthread": 1})
        self._columns = [f"f{column}" for column in range(len(bundle.contract.feature_names))]

    def explain(self, inputs: Mapping[str, NDArray[Any]], *, top: int = TOP) -> list[Explanation]:
        """Returns the explanation of each of N rows, given as the model's inputs (texts as str).

        Each holds the `top` largest contributions.
        """
        import xgboost

        if not len(next(iter(inputs.values()))):  # the graph takes one row or more
            return []
        matrix = next(iter(self._features(inputs).values()))
        rows = xgboost.DMatrix(matrix, feature_names=self._columns, nthread=1)
        values = self._booster.predict(rows, pred_contribs=True)
        return [self._one(matrix[row], values[row], top) for row in range(len(matrix))]

    def _one(self, row: NDArray[np.float32], values: NDArray[np.float32], top: int) -> Explanation:
        # Sums in float64, so that the parts add up to what is told.
        parts, base = values[:-1].astype(np.float64), float(values[-1])
        order = np.argsort(-np.abs(parts), kind="stable")
        return Explanation(
            toward=self._contract.classes[-1],
            base_value=base,
            margin=base + float(parts.sum()),
            top=tuple(self._contributions(order[:top].tolist(), row, parts)),
            rest=float(parts[order[top:]].sum()),
        )

    def _contributions(
        self, columns: Sequence[int], row: NDArray[np.float32], parts: NDArray[np.float64]
    ) -> list[Contribution]:
        names = self._contract.feature_names
        return [
            Contribution(name=names[column], value=float(row[column]), contribution=float(parts[column]))
            for column in columns
        ]
