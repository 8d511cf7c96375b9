"""Which terms become columns: chosen on training rows only, never on rows that judge."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.estimators.errors import Unlearnable
from training.estimators.text_features import TOKENS
from training.workload import Labels

Scores = NDArray[np.float64]
"""One for each candidate term; the higher, the better."""

_REGULARISATION: Final = 20.0
_ITERATIONS: Final = 1000


def chosen_terms(
    documents: Sequence[str], labels: Labels, *, how: str, count: int, min_df: int, longest: int
) -> tuple[str, ...]:
    """Returns at most `count` terms, the best first, by the way of `CHOICES` that `how` names.

    Candidates are runs of one to `longest` tokens that at least `min_df` documents hold.

    Raises:
        Unlearnable: no term is in that many documents.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(**TOKENS, min_df=min_df, ngram_range=(1, longest), dtype=np.float32)
    try:
        weights = vectoriser.fit_transform(documents)
    except ValueError as exc:  # scikit-learn's answer to an empty vocabulary, and to nothing else here
        raise Unlearnable(
            f"No word is in {min_df} or more of the {len(documents)} training texts.",
            next_step="Lower min_df, or fetch more data.",
        ) from exc
    names = vectoriser.get_feature_names_out()
    order = np.argsort(-CHOICES[how](weights, labels), kind="stable")
    return tuple(str(name) for name in names[order[:count]])


def _frequency(weights: Any, _labels: Labels) -> Scores:
    """Returns in how many documents each term is."""
    return np.asarray(weights.getnnz(axis=0), dtype=np.float64)


def _chi2(weights: Any, labels: Labels) -> Scores:
    """Returns the chi-squared statistic of presence against class."""
    from sklearn.feature_selection import chi2

    return np.nan_to_num(np.asarray(chi2(weights > 0, labels)[0], dtype=np.float64))


def _weight(weights: Any, labels: Labels) -> Scores:
    """Returns how much each term moves a logistic regression: its weight times the spread of its values."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_REGULARISATION, solver="liblinear", max_iter=_ITERATIONS)
    model.fit(weights, labels)
    mean = np.asarray(weights.mean(axis=0)).ravel()
    square = np.asarray(weights.multiply(weights).mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.asarray(np.abs(model.coef_).max(axis=0) * spread, dtype=np.float64)


CHOICES: Final[Mapping[str, Callable[[Any, Labels], Scores]]] = {
    "frequency": _frequency,
    "chi2": _chi2,
    "weight": _weight,
}
"""Ways to choose, by name; docs/model-quality.md says what each gave."""
