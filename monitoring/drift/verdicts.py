"""From distances to a verdict for each family (ADR 16).

Sure: the p-values of the families, each already that of its most surprising column among all deals, are
adjusted by Holm, so that the chance of any false drift in a run is at most what is allowed. Large enough: of
a column that is sure, at least the floor's share of predictions changed places.
"""

from typing import NamedTuple

import numpy as np

from monitoring.drift.columns import Sample
from monitoring.drift.permutations import Comparison, compare
from monitoring.drift.result import FamilyDrift, FeatureDrift, Verdict
from monitoring.drift.words import family_in_words, values_in_words


class Strictness(NamedTuple):
    """What it takes to be a drift."""

    false_alarms: float = 0.01
    """Share of runs that may find drift where there is none."""
    floor: float = 0.08
    """Share of predictions that must have moved."""
    deals: int = 2000


def judge(
    reference: Sample, current: Sample, strictness: Strictness, *, seed: int = 0
) -> tuple[FamilyDrift, ...]:
    """Returns the verdict on each family; both samples have the same columns.

    The same samples and `seed` give the same verdicts.
    """
    found = compare(reference, current, deals=strictness.deals, seed=seed)
    places = {
        family: [at for at, column in enumerate(reference.columns) if column.family == family]
        for family in reference.families
    }
    adjusted = {family: found.p_values(columns) for family, columns in places.items()}
    factors = holm({family: float(values.min()) for family, values in adjusted.items()})
    verdicts = []
    for family, columns in places.items():
        features = _features(reference, current, found, columns, adjusted[family])
        verdicts.append(_judged(family, features, factors[family], strictness))
    return tuple(verdicts)


def holm(p_values: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Returns for each name its adjusted p-value, and the factor by which its parts are to be adjusted.

    The step-down of Holm (1979): it holds the chance of any false finding, however the names are tied.
    """
    adjusted: dict[str, tuple[float, float]] = {}
    so_far = 0.0
    for at, (name, value) in enumerate(sorted(p_values.items(), key=lambda pair: pair[1])):
        factor = len(p_values) - at
        so_far = max(so_far, min(1.0, factor * value))
        adjusted[name] = (so_far, so_far / value)
    return adjusted


def _features(
    reference: Sample, current: Sample, found: Comparison, columns: list[int], adjusted: np.ndarray
) -> list[FeatureDrift]:
    order = sorted(range(len(columns)), key=lambda at: (adjusted[at], -found.surprise[columns[at]]))
    features = []
    for at in order:
        place = columns[at]
        column = reference.columns[place]
        features.append(
            FeatureDrift(
                name=column.name,
                psi=float(found.psi[place]),
                ks=float(found.ks[place]) if column.ordered else None,
                moved=float(found.moved[place]),
                p_value=float(adjusted[at]),
                drifted=False,
                reference=values_in_words(column, reference.values[:, place]),
                current=values_in_words(column, current.values[:, place]),
            )
        )
    return features


def _judged(
    family: str, features: list[FeatureDrift], holms: tuple[float, float], strictness: Strictness
) -> FamilyDrift:
    p_value, factor = holms
    marked = [
        feature.model_copy(
            update={
                "drifted": min(1.0, feature.p_value * factor) <= strictness.false_alarms
                and feature.moved >= strictness.floor
            }
        )
        for feature in features
    ]
    # What drifted comes first, and of that what moved most: a reader looks at the top.
    marked.sort(key=lambda feature: (not feature.drifted, -feature.moved if feature.drifted else 0))
    if any(feature.drifted for feature in marked):
        verdict = Verdict.DRIFT
    else:
        verdict = Verdict.SMALL if p_value <= strictness.false_alarms else Verdict.QUIET
    return FamilyDrift(
        family=family,
        verdict=verdict,
        sentence=family_in_words(family, verdict, marked, strictness.floor),
        p_value=p_value,
        features=tuple(marked),
    )
