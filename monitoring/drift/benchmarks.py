"""Figures of drift detection: how fast it is, and, run as a program, how often it is wrong (docs/drift.md).

`SLUICE_HOME=… python -m monitoring.drift.benchmarks MODEL VERSION` writes the table as Markdown.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from kit.benchmark import Figure
from kit.home import Home, home
from monitoring.drift.columns import SCORE, Column, Sample
from monitoring.drift.reference import bundle_of, reference_of
from monitoring.drift.trials import SHIFTS, Shift, alarms, detections, moved
from monitoring.drift.verdicts import Strictness, judge

ROWS: Final = 100_000
_NUMBERS: Final = 24
_REFERENCE_ROWS: Final = 909
_SIZES: Final = (200, 1000, 10_000)
_ALARM_DRAWS: Final = 200
_SHIFT_DRAWS: Final = (100, 40, 20)
_FURTHER_DRAWS: Final = (30, 10, 5)
"""Of the shifts after the first one."""
_SHIFT_DEALS: Final = 1000


def verdict(_home: Home, *, rows: int = ROWS) -> list[Figure]:
    """Returns the time of a verdict on `rows` rows of 24 numbers, against few and as many of a reference.

    One family has drifted, so that no deal is spared.
    """
    figures = []
    for against in (_REFERENCE_ROWS, rows):
        reference, current = _made(against, 1), _made(rows, 2, drift=3)
        start = time.process_time()
        judge(reference, current, Strictness())
        figures.append(
            Figure(
                f"drift: verdict on {rows:,} rows against {against:,}, CPU",
                time.process_time() - start,
                "s",
                aim="< 20",
                note=f"{_NUMBERS} numbers and a score, {Strictness().deals:,} deals",
            )
        )
    return figures


def table(reference: Sample) -> Iterator[str]:
    """Yields the lines of a Markdown table: false alarms, and shifts that are found, by family and size."""
    sizes = " | ".join(f"{size:,} rows" for size in _SIZES)
    yield f"| traffic | family | {sizes} |"
    yield "| --- | --- |" + " --- |" * len(_SIZES)
    quiet = [alarms(reference, size, draws=_ALARM_DRAWS, strictness=Strictness()) for size in _SIZES]
    yield _line("the reference, drawn anew: false alarms", "any", [rate.share for rate in quiet])
    for name, shift in SHIFTS.items():
        draws = _SHIFT_DRAWS if shift is moved else _FURTHER_DRAWS
        for family in reference.families:
            yield _line(f"a quarter: {name}", family, found(reference, family, shift, draws))


def found(reference: Sample, family: str, shift: Shift, draws: Sequence[int]) -> list[float]:
    """Returns for each size of traffic the share of shifts that are found in their family."""
    strictness = Strictness(deals=_SHIFT_DEALS)
    return [
        detections(reference, size, family, shift, draws=count, strictness=strictness).share
        for size, count in zip(_SIZES, draws, strict=True)
    ]


def _line(what: str, family: str, shares: list[float]) -> str:
    return f"| {what} | {family} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |"


def _made(rows: int, seed: int, *, drift: float = 0) -> Sample:
    """Returns rows as counts and shares are: many of them zero, some skewed, some tied."""
    random = np.random.default_rng(seed)
    columns = [Column(f"number_{at}", f"family_{at % 4}") for at in range(_NUMBERS)]
    values = random.lognormal(1, 1.5, (rows, _NUMBERS)) * (random.random((rows, _NUMBERS)) < 0.5)  # noqa: PLR2004
    values[:, ::2] = np.round(values[:, ::2])
    values[:, 0] += drift
    score = random.beta(0.1, 0.2, rows)
    return Sample(
        (*columns, Column("probability", SCORE)), np.column_stack((values, score)).astype(np.float32)
    )


if __name__ == "__main__":
    for line in table(reference_of(bundle_of(home(), *sys.argv[1:3])).sample):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
