"""What every peer wraps: an e-mail's probability by our extraction and the bundle's graph."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts.bundle import MODEL
from feature_repo.settings import FeatureRepoSettings
from kit.onnx_function import OnnxFunction
from serving.extraction import extract_raw, model_inputs

BUNDLE: Final = "SLUICE_PEER_BUNDLE"
"""The variable that names the bundle's folder."""


class Detector:
    """One open graph. Every sender is unknown: no peer looks up histories."""

    def __init__(self, bundle: Path) -> None:
        self._settings = FeatureRepoSettings.load()
        self._graph = OnnxFunction((bundle / MODEL).read_bytes())
        self._graph.session  # noqa: B018 - opened before the first request

    def probabilities(self, emails: Sequence[bytes]) -> list[float]:
        """Returns the probability of the last class for each raw e-mail."""
        inputs = model_inputs([extract_raw(email, self._settings) for email in emails])
        return [float(row[-1]) for row in self._graph(inputs)["probabilities"]]


def opened() -> Detector:
    """Returns the detector of the bundle that the environment names."""
    return Detector(Path(os.environ[BUNDLE]))
