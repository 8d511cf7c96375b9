"""MLflow: a model of the pyfunc flavour, as code, that takes e-mails as base64.

`mlflow models serve` runs it in the platform's own environment, which holds all that it needs. Run as
`python -m serving.peers.mlflow_model FOLDER` it saves the model there.
"""

import base64
import sys

import mlflow
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from serving.peers.detector import opened


class Emails(PythonModel):
    """One open graph in each worker."""

    def load_context(self, context: PythonModelContext) -> None:  # noqa: ARG002 - MLflow's name
        """Opens the graph."""
        self._detector = opened()

    def predict(self, model_input: list[str]) -> list[float]:  # type: ignore[override]
        """Returns the probability of each e-mail."""
        return self._detector.probabilities([base64.b64decode(email) for email in model_input])


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=__file__, pip_requirements=[])
else:
    mlflow.models.set_model(Emails())
