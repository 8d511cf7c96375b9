"""One comparison: a window of a version's traffic against the reference of its bundle."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np

from monitoring.drift.bins import grid
from monitoring.drift.columns import FROM_MESSAGES, Sample
from monitoring.drift.reference import Reference
from monitoring.drift.result import Cause, DriftResult, FamilyDrift, Verdict
from monitoring.drift.traffic import Pair, paired
from monitoring.drift.verdicts import Strictness, judge
from monitoring.drift.windows import Chosen
from monitoring.drift.words import percent
from records.repositories.prediction_windows import Served, Window

EXAMPLES: Final = 3
_FEW: Final = 50
"""Rows without defaults that are enough to ask whether they drifted by themselves."""
_SMALL_REFERENCE: Final = 200


def measure(
    reference: Reference, served: Served, chosen: Chosen, kind: str, strictness: Strictness, *, now: datetime
) -> tuple[DriftResult, Pair]:
    """Returns what the window shows, and the samples it was found in.

    Raises:
        ReferenceUnusable: the rows are of other columns than the reference.
    """
    start = time.perf_counter()
    pair = paired(reference, chosen.window)
    if chosen.period.since is None or chosen.period.until is None:
        raise ValueError("a window that is measured has bounds")
    seed = int(chosen.period.since.timestamp())
    families = judge(pair.reference, pair.current, strictness, seed=seed)
    told = tuple(
        _explained(family, pair, chosen.window, strictness, seed)
        if family.verdict is Verdict.DRIFT
        else family
        for family in families
    )
    notes = list(pair.left_out)
    if len(pair.reference) < _SMALL_REFERENCE:
        notes.append(f"The reference has only {len(pair.reference)} rows: only a large shift can be told.")
    if chosen.left_out:
        notes.append(f"The window has {chosen.left_out:,} earlier predictions that were not looked at.")
    return (
        DriftResult(
            model=served.model_name,
            environment=served.environment,
            version=served.model_version,
            kind=kind,
            window_start=chosen.period.since,
            window_end=chosen.period.until,
            measured_at=now,
            rows=len(pair.current),
            rows_left_out=chosen.left_out,
            reference_rows=len(pair.reference),
            defaulted_rows=int((chosen.window.defaulted_features > 0).sum()),
            families=told,
            not_measured=tuple(notes),
            seconds=time.perf_counter() - start,
        ),
        pair,
    )


def _explained(
    family: FamilyDrift, pair: Pair, window: Window, strictness: Strictness, seed: int
) -> FamilyDrift:
    examples = _examples(family, pair, window.request_ids)
    defaulted = window.defaulted_features > 0
    share = float(defaulted.mean())
    from_store = (
        family.family not in FROM_MESSAGES
        and share >= strictness.floor
        and _defaults_explain(family, pair, defaulted, strictness, seed)
    )
    if not from_store:
        return family.model_copy(update={"examples": examples})
    return family.model_copy(
        update={
            "examples": examples,
            "cause": Cause.FEATURE_STORE,
            "sentence": f"{family.sentence} The cause is the feature store: {percent(share)} of the "
            "predictions were answered with defaults because it was slow or down, and the others are as the "
            "reference has them.",
        }
    )


def _defaults_explain(
    family: FamilyDrift, pair: Pair, defaulted: np.ndarray, strictness: Strictness, seed: int
) -> bool:
    """Tells whether the rows that were answered without defaults are quiet.

    If there are too few of those to tell, then nearly all rows are defaults, and they are the cause.
    """
    if (~defaulted).sum() < _FEW:
        return True
    reference, others = pair.reference.of(family.family), pair.current.of(family.family).take(~defaulted)
    again = judge(reference, others, strictness, seed=seed)
    return all(found.verdict is not Verdict.DRIFT for found in again)


def _examples(family: FamilyDrift, pair: Pair, request_ids: Sequence[str]) -> tuple[str, ...]:
    """Returns the latest requests whose leading number lies where there is most traffic too much."""
    reference, current = (
        _column(pair.reference, family.top[0].name),
        _column(pair.current, family.top[0].name),
    )
    cut = grid(reference, current)
    known, asked = (
        np.searchsorted(cut.bin_start, cut.codes(sample.values)[:, 0], side="right")
        for sample in (reference, current)
    )
    bins = len(cut.bin_start) + 1
    excess = np.bincount(asked, minlength=bins) / len(asked) - np.bincount(known, minlength=bins) / len(known)
    places = np.flatnonzero(asked == excess.argmax())[-EXAMPLES:]
    return tuple(request_ids[at] for at in places[::-1])


def _column(sample: Sample, name: str) -> Sample:
    return sample.only([at for at, column in enumerate(sample.columns) if column.name == name])
