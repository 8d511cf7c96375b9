"""The last recorded predictions under a candidate: what can be known of them, and no more.

The records keep the numbers a model saw and the score it gave, and never a text. A model of numbers alone can
therefore be asked again; of a model that reads text only the threshold can be compared: a recorded score that
lies between the two thresholds gets the other verdict if the candidate scores the row as the former did.
"""

import asyncio
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from contracts.environments import Environment
from kit.bundle import Bundle
from kit.onnx_function import OnnxFunction
from records.engine import Records, opened
from records.repositories import prediction_windows
from records.repositories.prediction_windows import Served, Window
from serving.promotion.flips import verdicts

MOST: Final = 10_000
"""Predictions that are looked at, the latest ones."""


class Recorded(BaseModel):
    """The last predictions of the version that serves, under the candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    predictions: int
    scored: bool
    """True if the candidate was asked for every row; False if only its threshold could be compared."""
    flips: dict[str, int]
    """Verdicts that change, by `before → after`."""
    note: str


def recorded(environment: Environment, former: Bundle, candidate: Bundle, version: str) -> Recorded | None:
    """Returns what is known of the last predictions of `version` in `environment`; None if there are none.

    Raises:
        RecordsUnavailable: the database does not answer.
    """
    window = asyncio.run(_window(Served(former.contract.workload, environment, version)))
    if not len(window):
        return None
    width = sum(int(np.prod(tensor.shape)) for tensor in candidate.contract.inputs)
    numbers = all(tensor.datatype == "FP32" for tensor in candidate.contract.inputs)
    if numbers and window.numeric.shape[1] == width and len(candidate.contract.inputs) == 1:
        return _scored(window, candidate)
    return _by_threshold(window, former, candidate)


async def _window(served: Served) -> Window:
    async with opened() as records:
        return await _read(records, served)


async def _read(records: Records, served: Served) -> Window:
    async with records.reading() as session:
        return await prediction_windows.window(session, served, limit=MOST)


def _scored(window: Window, candidate: Bundle) -> Recorded:
    tensor = candidate.contract.inputs[0]
    inputs = {tensor.name: window.numeric.reshape(-1, *tensor.shape)}
    answers = OnnxFunction(candidate.model.read_bytes())(inputs)["probabilities"].astype(np.float64)
    after = [candidate.contract.classes[verdict] for verdict in verdicts(candidate.contract, answers)]
    return Recorded(
        predictions=len(window),
        scored=True,
        flips=_counted(window.labels, after),
        note="The candidate was asked for every one of these rows: the records hold all it reads.",
    )


def _by_threshold(window: Window, former: Bundle, candidate: Bundle) -> Recorded:
    classes, threshold = candidate.contract.classes, candidate.contract.threshold
    blind = "The records keep no text, so the candidate cannot be asked for these rows."
    if threshold is None or former.contract.threshold is None or former.contract.classes != classes:
        return Recorded(predictions=len(window), scored=False, flips={}, note=blind)
    after = [classes[-1] if score >= threshold else classes[0] for score in window.probabilities]
    return Recorded(
        predictions=len(window),
        scored=False,
        flips=_counted(window.labels, after),
        note=f"{blind} Counted are the scores between the two thresholds ({former.contract.threshold:.4f} "
        f"and {threshold:.4f}); what a row's new score will be is not known.",
    )


def _counted(before: list[str], after: list[str]) -> dict[str, int]:
    pairs = [f"{old} → {new}" for old, new in zip(before, after, strict=True) if old != new]
    return {pair: pairs.count(pair) for pair in sorted(set(pairs))}
