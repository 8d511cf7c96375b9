"""Inputs that no corpus holds, for the certificate: empty, extreme, and unknown."""

from collections.abc import Mapping
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.features import MAX_TOKENS, NUMERIC_FEATURES
from contracts.tensors import PREDICTOR_INPUTS

TEXTS: Final = (
    "",
    "free",
    "zzzzunseenzzzz",
    " ".join(["zzzzunseenzzzz"] * 50),
    "free " * 99 + "free",
    "\u0431\u0435\u0441\u043f\u043b\u0430\u0442\u043d\u043e \u7121\u6599 \u0645\u062c\u0627\u0646\u064a",
    "_url _money _number _shout",
    " ".join(f"word{number} free _url" for number in range(MAX_TOKENS // 3)),
)
"""No token, one, unknown ones, one many times, other scripts, placeholders, and as many as there may be."""


def edge_inputs() -> Mapping[str, NDArray[Any]]:
    """Returns each edge text with the least, the greatest and the default numbers, and each number alone."""
    text, numbers = (tensor.name for tensor in PREDICTOR_INPUTS)
    low = np.array([feature.low for feature in NUMERIC_FEATURES], dtype=np.float32)
    high = np.array([feature.high for feature in NUMERIC_FEATURES], dtype=np.float32)
    default = np.array([feature.default for feature in NUMERIC_FEATURES], dtype=np.float32)
    alone = [np.where(np.arange(len(high)) == at, high, default) for at in range(len(high))]
    rows = [*product(TEXTS, (low, high, default)), *(("free _url", row) for row in alone)]
    return {
        text: np.array([row[0] for row in rows], dtype=object).reshape(-1, 1),
        numbers: np.stack([row[1] for row in rows]).astype(np.float32),
    }
