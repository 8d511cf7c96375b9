"""BentoML: a service with one API; the e-mail comes as base64 in JSON, which is how it takes bytes."""

import base64
import os

import bentoml

from serving.peers.detector import opened


@bentoml.service(
    workers=int(os.environ.get("SLUICE_PEER_WORKERS", "2")),
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
)
class Emails:
    """One open graph in each worker."""

    def __init__(self) -> None:
        self._detector = opened()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def probability(self, email: str) -> float:
        """Returns the probability of one e-mail."""
        return self._detector.probabilities([base64.b64decode(email)])[0]
