"""The tensors of `spam-detector` on the Open Inference Protocol: the model's, and the transformer's."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from contracts.features import NUMERIC_FEATURES

SPAM_DETECTOR: Final = "spam-detector"


class Tensor(BaseModel):
    """One named tensor; `shape` without the batch dimension N, which is always first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    datatype: Literal["BYTES", "FP32", "INT64"]
    shape: tuple[int, ...]


PREDICTOR_INPUTS: Final = (
    Tensor(name="text", datatype="BYTES", shape=(1,)),
    Tensor(name="numeric", datatype="FP32", shape=(len(NUMERIC_FEATURES),)),
)
PREDICTOR_OUTPUTS: Final = (
    Tensor(name="label", datatype="INT64", shape=()),
    Tensor(name="probabilities", datatype="FP32", shape=(2,)),
)
TRANSFORMER_INPUTS: Final = (Tensor(name="email", datatype="BYTES", shape=()),)
