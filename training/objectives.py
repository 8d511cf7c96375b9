"""What a search can make best: names, direction and formula."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from kit.errors import UsageError
from training.workload import Labels, Matrix


class ObjectiveUnknown(UsageError):
    """No objective of this name."""

    code = "objective_unknown"
    title = "Unknown objective"


class Objective(NamedTuple):
    """A figure of labels int64 [N] and probabilities float32 [N, K]."""

    name: str
    maximised: bool
    sentence: str
    value: Callable[[Labels, Matrix], float]


def f1(labels: Labels, probabilities: Matrix) -> float:
    """Returns F1 of the second class at 0.5, or with more than two classes the mean over the classes."""
    answers, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    wanted = range(1, 2) if classes == 2 else range(classes)  # noqa: PLR2004 - two is what binary means
    found = [int(np.sum((answers == each) & (labels == each))) for each in wanted]
    either = [int(np.sum(answers == each) + np.sum(labels == each)) for each in wanted]
    return float(
        np.mean([2 * hits / total if total else 0.0 for hits, total in zip(found, either, strict=True)])
    )


def best_f1(labels: Labels, probabilities: Matrix) -> float:
    """Returns F1 of the second class at the threshold that suits these rows best; otherwise as `f1`."""
    from sklearn.metrics import precision_recall_curve

    if probabilities.shape[1] != 2:  # noqa: PLR2004
        return f1(labels, probabilities)
    precision, recall, _ = precision_recall_curve(labels, probabilities[:, 1])
    total = precision + recall
    return float(np.max(2 * precision * recall / np.where(total > 0, total, 1)))


def roc_auc(labels: Labels, probabilities: Matrix) -> float:
    """Returns the area under the ROC curve; with more than two classes the mean of one against the rest."""
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:  # noqa: PLR2004
        return float(roc_auc_score(labels, probabilities[:, 1]))
    whole = probabilities.astype(np.float64)
    whole /= whole.sum(axis=1, keepdims=True)
    classes = np.arange(probabilities.shape[1])
    return float(roc_auc_score(labels, whole, multi_class="ovr", labels=classes))


def log_loss(labels: Labels, probabilities: Matrix) -> float:
    """Returns the mean negative log probability of the true class, probabilities clipped at 1e-15."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.mean(np.log(np.clip(true, 1e-15, 1.0))))


OBJECTIVES: Final = {
    objective.name: objective
    for objective in (
        Objective("f1", True, "F1 at the threshold 0.5", f1),
        Objective("best_f1", True, "F1 at the best threshold", best_f1),
        Objective("roc_auc", True, "area under the ROC curve", roc_auc),
        Objective("log_loss", False, "log loss", log_loss),
    )
}


def objective_named(name: str) -> Objective:
    """Returns the objective of this name.

    Raises:
        ObjectiveUnknown: there is none.
    """
    if name not in OBJECTIVES:
        raise ObjectiveUnknown(f"No objective is called {name}: choose from {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]
