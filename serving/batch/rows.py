"""The rows of one part of an input, as its reader hands them to the scorer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import BundleContract
from contracts.tensors import PREDICTOR_INPUTS


class Problem(StrEnum):
    """Why a row has no answer; it is in the output all the same, so that rows add up."""

    NOT_A_FILE = "not_a_file"
    """A link or a device; it is never followed."""
    UNREADABLE = "unreadable"
    """The system did not give the file's bytes."""
    EMPTY_CELL = "empty_cell"
    """Null where the model needs a value."""
    WRONG_SHAPE = "wrong_shape"
    """A list with more or fewer numbers than the model takes."""
    REFUSED = "refused"
    """It begins as a structured message does, and is none."""


@dataclass(frozen=True, slots=True)
class Rows:
    """N rows; of one with a problem, its bytes are empty or its numbers zero."""

    ids: Sequence[str | None]
    sha256: Sequence[str | None]
    """Of the message's bytes, or of the row's values in the order of the contract; None with a problem."""
    problems: Sequence[Problem | None]
    messages: Sequence[bytes] = ()
    """Raw messages, of a model that reads mail."""
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """The model's own inputs by name, of any other model."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader needs to know of the model and of the settings."""

    contract: BundleContract
    id_column: str
    max_bytes: int
    """Bytes of a message that are read; one byte more is handed on, so that the cut is noticed."""

    @property
    def reads_mail(self) -> bool:
        """True if the model takes what is extracted from messages, False if it takes the rows as they are."""
        return self.contract.inputs == PREDICTOR_INPUTS


def no_rows(count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Returns zeros for `count` rows of a number tensor."""
    return np.zeros((count, *shape), dtype=np.float32)
