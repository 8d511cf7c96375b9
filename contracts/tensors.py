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
"""Each element is a raw RFC 5322 message; one that begins with `{` is a structured e-mail as JSON
(`contracts.emails`). The parameter CONTENT_TYPE of the tensor or of the request says which one, for all."""

TRANSFORMER_OUTPUTS: Final = (
    Tensor(name="probability", datatype="FP32", shape=()),
    Tensor(name="label", datatype="INT64", shape=()),
    Tensor(name="verdict", datatype="BYTES", shape=()),
)
"""What is answered unless outputs are named: the probability of the last class, the model's own `label` (the
class of the largest probability), and the name of the class that the bundle's threshold decides for."""

TRANSFORMER_EXTRA_OUTPUTS: Final = (
    Tensor(name="numeric", datatype="FP32", shape=(len(NUMERIC_FEATURES),)),
    Tensor(name="text_statistics", datatype="BYTES", shape=()),
    Tensor(name="explanation", datatype="BYTES", shape=()),
    Tensor(name="facts", datatype="BYTES", shape=()),
)
"""What is answered only if it is named: the numbers that the model saw, facts of the text, what decided, and
what is to be remembered (`contracts.facts`); the last three as JSON."""

CONTENT_TYPE: Final = "content_type"
"""The parameter that says what the elements of `email` are, for messages that may begin with anything."""
RAW: Final = "message/rfc822"
STRUCTURED: Final = "application/json"
