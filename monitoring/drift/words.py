"""Numbers and verdicts as sentences, for people who do not want to know what a PSI is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.columns import Column
from monitoring.drift.result import FeatureDrift, Verdict

_OFTEN = 0.3


def values_in_words(column: Column, values: NDArray[np.float32]) -> str:
    """Returns the values of a column in a few words: the usual ones, and how they spread."""
    known = values[~np.isnan(values)]
    missing = "" if known.size == values.size else f", {percent(1 - known.size / values.size)} missing"
    if not known.size:
        return "all missing"
    if not column.ordered:
        counts = np.bincount(known.astype(np.int64), minlength=len(column.categories))
        shown = sorted(zip(column.categories, counts, strict=True), key=lambda pair: -pair[1])
        return ", ".join(f"{name} {percent(count / len(known))}" for name, count in shown if count) + missing
    found, counts = np.unique(known, return_counts=True)
    at = int(counts.argmax())
    often, share = float(found[at]), float(counts[at] / len(known))
    if len(found) == 1:
        return f"always {number(often)}{missing}"
    if share < _OFTEN:
        return f"{_spread(known)}{missing}"
    rest = known[known != found[at]]
    if len(found) == 2:  # noqa: PLR2004 - the other one
        other = number(float(rest[0]))
        return f"{number(often)} in {percent(share)}, {other} in {percent(1 - share)}{missing}"
    return f"{number(often)} in {percent(share)}, else {_spread(rest)}{missing}"


def family_in_words(family: str, verdict: Verdict, features: Sequence[FeatureDrift], floor: float) -> str:
    """Returns the verdict on a family as one sentence."""
    leading = features[0]
    change = f"{leading.name} went from {leading.reference} to {leading.current}"
    if verdict is Verdict.QUIET:
        return f"The {family} features are as the reference has them."
    if verdict is Verdict.SMALL:
        return (
            f"The {family} features moved, but little: {percent(leading.moved)} of the predictions; "
            f"{change}. A drift is {percent(floor)} or more."
        )
    drifted = [feature for feature in features if feature.drifted]
    more = len(drifted) - 1
    others = f", and so did {more} more feature{'s' if more > 1 else ''}" if more else ""
    size = f"{percent(leading.moved)} of the predictions moved"
    return f"The {family} features drifted: {change} ({size}){others}."


def percent(share: float) -> str:
    """Returns a share as a percentage of two or so digits."""
    value = 100 * share
    if 0 < value < 0.1:  # noqa: PLR2004
        return "< 0.1 %"
    return f"{value:.1f} %" if 0 < value < 10 or 99 < value < 100 else f"{value:.0f} %"  # noqa: PLR2004


def number(value: float) -> str:
    """Returns a number of three digits or so."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"  # noqa: PLR2004


def _spread(values: NDArray[np.float32]) -> str:
    low, middle, high = (float(at) for at in np.quantile(values, (0.1, 0.5, 0.9), method="inverted_cdf"))
    return f"median {number(middle)} ({number(low)} to {number(high)})"
