"""Why a model answered as it did: one row's explanation, as it goes over the wire in JSON."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

UNIT: Final = "log_odds"


class Contribution(BaseModel):
    """What one feature added to one answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Of the feature, as in the bundle's `feature_names`."""
    value: float
    """What the model saw: the weight of a term, or the number."""
    contribution: float
    """Added to the log odds of the last class; below zero it speaks for the other one."""


class Explanation(BaseModel):
    """One answer taken apart: `base_value`, every `top` contribution and `rest` add up to `margin`.

    The sigmoid of `margin` is the probability of `toward`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["log_odds"] = UNIT
    toward: str
    """The class that positive contributions speak for: the last one."""
    base_value: float
    """The log odds of an average row of the training data, before anything is known of this one."""
    margin: float
    top: tuple[Contribution, ...]
    """The largest by absolute value, the largest first."""
    rest: float
    """The contributions of all other features together."""
