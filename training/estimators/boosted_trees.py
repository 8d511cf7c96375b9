"""XGBoost for two classes, on one dense float32 matrix.

XGBoost reads an entry that is absent from a sparse matrix as missing, and the exported graph gets a zero
there; so a sparse matrix is refused. Inside, features are called f0, f1 and so on: onnxmltools knows no other
names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np

from contracts.bundle import NATIVE_MODEL
from training.estimators.errors import Unlearnable, check_classes, check_rows
from training.estimators.graph import FEATURES, OPSET
from training.workload import Labels, Matrix, Parameters, RoundReport

CLASSES: Final = 2
MODEL: Final = Path(NATIVE_MODEL).name

_METRICS: Final = ("aucpr", "auc", "logloss")
"""After each round, on the validation rows; the last one decides when to stop."""

_ROUND_NAMES: Final = MappingProxyType({"logloss": "log_loss"})
"""XGBoost's names where the platform has others (training/workload.py, RoundReport)."""

_TREE_PARAMETERS: Final = frozenset(
    {
        "colsample_bynode",
        "colsample_bytree",
        "gamma",
        "learning_rate",
        "max_bin",
        "max_delta_step",
        "max_depth",
        "min_child_weight",
        "nthread",
        "num_parallel_tree",
        "reg_alpha",
        "reg_lambda",
        "scale_pos_weight",
        "subsample",
    }
)
DEFAULT_ROUNDS: Final = 500
DEFAULT_PATIENCE: Final = 50


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted booster that holds only the rounds that count; F features."""

    saved: bytes
    """The booster in XGBoost's UBJSON: equal bytes are equal models, and they travel between processes."""
    features: int

    def __getstate__(self) -> dict[str, Any]:
        return {"saved": self.saved, "features": self.features}

    @classmethod
    def of(cls, booster: Any) -> Self:
        """Returns the fitted form of `booster`, all of whose rounds count."""
        return cls(bytes(booster.save_raw("ubj")), int(booster.num_features()))

    @cached_property
    def booster(self) -> Any:
        """XGBoost's own object."""
        import xgboost

        return xgboost.Booster(model_file=bytearray(self.saved))

    @property
    def rounds(self) -> int:
        """Boosting rounds after early stopping."""
        return int(self.booster.num_boosted_rounds())

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns float32 [N, 2]."""
        last = np.asarray(self.booster.predict(self._rows(matrix)), dtype=np.float32)
        return np.stack([1 - last, last], axis=1)

    def contributions(self, matrix: Matrix) -> Matrix:
        """Returns what each feature adds to the log odds of the last class, float32 [N, F].

        SHAP values of tree ensembles (Lundberg et al. 2020, "From local explanations to global understanding
        with explainable AI for trees"), as XGBoost computes them; the constant term is left out.
        """
        values = self.booster.predict(self._rows(matrix), pred_contribs=True)
        return np.asarray(values[:, :-1], dtype=np.float32)

    def save_native(self, folder: Path) -> tuple[str, ...]:
        """Writes model.ubj into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL).write_bytes(self.saved)
        return (MODEL,)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Returns what `save_native` wrote."""
        import xgboost

        return cls.of(xgboost.Booster(model_file=bytearray((folder / MODEL).read_bytes())))

    def graph(self) -> Any:
        """Returns the ONNX graph from the features to `probabilities`."""
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        return convert_xgboost(
            self.booster,
            initial_types=[(FEATURES, FloatTensorType([None, self.features]))],
            target_opset=OPSET,
        )

    def _rows(self, matrix: Matrix) -> Any:
        import xgboost

        return xgboost.DMatrix(matrix, feature_names=_names(self.features))


def fit(
    parameters: Parameters,
    matrix: Matrix,
    labels: Labels,
    *,
    validation: tuple[Matrix, Labels] | None = None,
    seed: int,
    on_round: RoundReport | None = None,
) -> BoostedTrees:
    """Returns trees fitted on `matrix`; with `validation` only the rounds up to the best one are kept.

    `parameters` are XGBoost's by their scikit-learn names, with `n_estimators` rounds at most and
    `early_stopping_rounds` without progress in log loss. Others are for other parts and are not looked at.

    Raises:
        Unlearnable: see `check_rows` and `check_classes`.
    """
    import xgboost

    _check(matrix, labels, validation)
    rows = xgboost.DMatrix(matrix, labels, feature_names=_names(matrix.shape[1]))
    # One thread unless asked for more: on busy cores the threads of a small fit wait for each other in loops
    # (measured on 4,231 rows, 200 rounds: 1 s of CPU with one, 19 s with two), and the sums of one thread are
    # the same on every machine.
    settings: dict[str, Any] = {"nthread": 1}
    settings |= {name: value for name, value in parameters.items() if name in _TREE_PARAMETERS}
    settings |= {"objective": "binary:logistic", "tree_method": "hist", "seed": seed, "verbosity": 1}
    watched: list[tuple[Any, str]] = []
    callbacks: list[Any] = []
    if validation is not None:
        judged = xgboost.DMatrix(*validation, feature_names=_names(matrix.shape[1]))
        watched = [(judged, "validation")]
        settings["eval_metric"] = list(_METRICS)
        patience = int(parameters.get("early_stopping_rounds", DEFAULT_PATIENCE))
        callbacks.append(xgboost.callback.EarlyStopping(rounds=patience))
    if on_round is not None:
        callbacks.append(_reporter(on_round))
    booster = xgboost.train(
        settings,
        rows,
        int(parameters.get("n_estimators", DEFAULT_ROUNDS)),
        evals=watched,
        callbacks=callbacks,
        verbose_eval=False,
    )
    if validation is not None:
        # The converter would take every round, also those after the best one: onnx/onnxmltools#517.
        booster = booster[: booster.best_iteration + 1]
    return BoostedTrees.of(booster)


def _check(matrix: Matrix, labels: Labels, validation: tuple[Matrix, Labels] | None) -> None:
    check_rows(matrix, labels, CLASSES, use="training")
    check_classes(labels, CLASSES)
    if validation is None:
        return
    check_rows(*validation, CLASSES, use="validation")
    if validation[0].shape[1] != matrix.shape[1]:
        raise Unlearnable("Training and validation rows have different numbers of features.")


def _names(columns: int) -> Iterable[str]:
    return [f"f{column}" for column in range(columns)]


def _reporter(on_round: RoundReport) -> Any:
    import xgboost

    class Reporter(xgboost.callback.TrainingCallback):
        """Tells `on_round` what XGBoost measured."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
            on_round(
                epoch + 1,
                {
                    _ROUND_NAMES.get(metric, metric): float(values[-1])
                    for metric, values in evals_log.get("validation", {}).items()
                },
            )
            return False

    return Reporter()
