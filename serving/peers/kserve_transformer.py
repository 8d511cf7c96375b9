"""The peer of the measurement: the same extraction and lookup in KServe's own Python model server.

Written as KServe's documentation of custom transformers has it: a `Model` with a `preprocess`, and the
predictor asked by KServe's client. Run as
`python -m serving.peers.kserve_transformer HTTP_PORT TRITON_HTTP HOME`.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    import kserve
    from kserve.predictor_config import PredictorConfig
    from prometheus_client import CollectorRegistry

    from contracts.tensors import PREDICTOR_INPUTS, SPAM_DETECTOR
    from feature_repo.online import SenderLookup
    from feature_repo.settings import FeatureRepoSettings
    from feature_repo.store import open_store
    from kit.home import Home
    from serving.extraction import extract_raw, model_inputs

    class Peer(kserve.Model):  # type: ignore[misc]
        """E-mails in, the model's own outputs out."""

        def __init__(self, home: Path) -> None:
            super().__init__(SPAM_DETECTOR)
            self._features = FeatureRepoSettings.load()
            self._lookup = SenderLookup(open_store(Home(home), self._features), CollectorRegistry())
            self.ready = True

        def preprocess(self, payload: Any, _headers: Any = None, _response_headers: Any = None) -> Any:
            """Makes the model's inputs of the e-mails."""
            emails = payload.inputs[0].as_numpy()
            messages = [
                extract_raw(one if isinstance(one, bytes) else str(one).encode(), self._features)
                for one in emails
            ]
            inputs = model_inputs(
                messages, self._lookup.lookup([message.sender for message in messages], datetime.now(UTC))
            )
            tensors = []
            for tensor in PREDICTOR_INPUTS:
                made = kserve.InferInput(tensor.name, [len(messages), *tensor.shape], tensor.datatype)
                made.set_data_from_numpy(inputs[tensor.name], binary_data=True)
                tensors.append(made)
            return kserve.InferRequest(model_name=self.name, infer_inputs=tensors)

    port, triton, folder = sys.argv[1:]
    kserve.ModelServer(
        http_port=int(port),
        enable_grpc=False,
        workers=1,
        enable_latency_logging=False,
        predictor_config=PredictorConfig(triton, "v2"),
    ).start([Peer(Path(folder))])
