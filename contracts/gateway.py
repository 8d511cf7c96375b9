"""Where clients of the gateway on this machine find it and their first key: read by `sluice` and by tests."""

from pathlib import Path
from typing import Final

PREDICT: Final = "/v1/predict"
PREDICT_BATCH: Final = "/v1/predict/batch"
FEEDBACK: Final = "/v1/feedback"
MODELS: Final = "/v1/models"
PREDICTIONS: Final = "/v1/predictions"
DOCS: Final = "/docs"
LIVE: Final = "/health/live"
READY: Final = "/health/ready"


def address_file(root: Path) -> Path:
    """Returns the file that holds the URL of the gateway that `sluice up` started."""
    return root / "gateway" / "url"


def keys_file(root: Path) -> Path:
    """Returns the file of API keys, as salted hashes, below the state folder `root`."""
    return root / "gateway" / "keys.json"


def development_key_file(root: Path) -> Path:
    """Returns the file (mode 0600) of the development key itself, made where `GATEWAY_DEVELOPMENT` is set."""
    return root / "gateway" / "development.key"
