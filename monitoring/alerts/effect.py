"""The estimated effect on verdicts: how often each was given, against the reference, or how often wrong.

Two shares are compared by the interval of their difference, made of the two score intervals (Newcombe,
"Interval estimation for the difference between independent proportions", Statistics in Medicine 17, 1998,
method 10). With K > 2 classes the one that changed most is told, at a level adjusted by Bonferroni for having
chosen it.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np

from monitoring.drift.reference import Reference, answered
from monitoring.drift.words import percent
from monitoring.performance.intervals import LEVEL, Z, wilson
from records.repositories.prediction_windows import Labelled

_BINARY: Final = 2


class Share(NamedTuple):
    """`hits` of `of` rows."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """Between 0 and 1."""
        return self.hits / self.of


class Difference(NamedTuple):
    """How much larger one share is than another, with its interval; between -1 and 1."""

    value: float
    low: float
    high: float


def difference(before: Share, now: Share, z: float = Z) -> Difference:
    """Returns by how much the share `now` is above that of `before`."""
    old, new = wilson(before.hits, before.of, z), wilson(now.hits, now.of, z)
    value = now.value - before.value
    return Difference(
        value,
        value - float(np.hypot(now.value - new.low, old.high - before.value)),
        value + float(np.hypot(new.high - now.value, before.value - old.low)),
    )


def of_answers(reference: Reference, labels: Sequence[str]) -> str:
    """Returns how the verdicts `labels` [N] differ from those that the reference gets, in sentences."""
    classes = reference.contract.classes
    known = answered(reference.contract, reference.probabilities)
    shares = {
        name: (Share(int((known == at).sum()), len(known)), Share(labels.count(name), len(labels)))
        for at, name in enumerate(classes)
    }
    if len(classes) == _BINARY:
        told, z = classes[-1], Z
    else:
        told = max(shares, key=lambda name: abs(shares[name][1].value - shares[name][0].value))
        z = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / len(classes))
    before, now = shares[told]
    return (
        f"{percent(now.value)} of the verdicts are {told}, and {percent(before.value)} of the reference's: "
        f"{points(difference(before, now, z))}. That is how often the verdict is given, and not how often it "
        "is wrong; which single verdicts changed cannot be seen."
    )


def of_labels(reference: Reference, labelled: Labelled) -> str:
    """Returns how many of the labelled verdicts were wrong, against the reference's, in sentences."""
    contract = reference.contract
    pairs = [
        (told, true)
        for told, true in zip(labelled.answered, labelled.true, strict=True)
        if {told, true} <= set(contract.classes)
    ]
    wrong = answered(contract, reference.probabilities) != reference.truth
    before = Share(int(wrong.sum()), len(wrong))
    now = Share(sum(told != true for told, true in pairs), len(pairs))
    return (
        f"{percent(now.value)} of {now.of:,} labelled verdicts are wrong, and {percent(before.value)} of the "
        f"reference's: {points(difference(before, now))}. It holds for what people label, which may not be a "
        "random choice."
    )


def points(found: Difference) -> str:
    """Returns a difference in percentage points with its interval, in words."""
    low, high = 100 * found.low, 100 * found.high
    if found.low <= 0 <= found.high:
        return f"no change beyond chance (95 % interval {low:+.1f} to {high:+.1f} points)"
    size, word = abs(100 * found.value), "more" if found.value > 0 else "fewer"
    near, far = sorted((abs(low), abs(high)))
    return f"{size:.1f} points {word} (95 % interval {near:.1f} to {far:.1f})"
