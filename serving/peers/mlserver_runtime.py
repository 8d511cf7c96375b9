"""MLServer: a custom inference runtime over the Open Inference Protocol, e-mails as base64 in BYTES."""

import mlserver
import numpy as np
from mlserver.codecs import Base64Codec, NumpyCodec

from serving.peers.detector import opened


class Emails(mlserver.MLModel):  # type: ignore[misc]
    """`email` BYTES [N] in, `probability` FP32 [N] out."""

    async def load(self) -> bool:
        """Opens the graph."""
        self._detector = opened()
        return True

    async def predict(self, payload: mlserver.types.InferenceRequest) -> mlserver.types.InferenceResponse:
        """Answers one request, or those that MLServer has put together."""
        emails = self.decode(payload.inputs[0], default_codec=Base64Codec)
        probabilities = np.array(self._detector.probabilities(emails), dtype=np.float32)
        return mlserver.types.InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probability", probabilities)]
        )
