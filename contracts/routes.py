"""A route: which version of a model answers in an environment of this machine, and where.

`sluice up` and promotion write one small file for each model and environment, in one step; the transformer
and the gateway read it again when it changes. In a cluster the InferenceService says the same by settings.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from contracts.environments import Environment

FOLDER: Final = "routes"
"""Below the folder of what serves on this machine."""


class Route(BaseModel):
    """Where one model answers in one environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    environment: Environment
    version: str = Field(pattern=r"^[1-9][0-9]*$")
    """The registry's version; also the number of the folder in Triton's model repository."""
    bundle: Path
    """Folder of the verified bundle."""
    bundle_digest: str
    triton_http: str
    """host:port of Triton's HTTP endpoint."""
    triton_grpc: str
    """host:port of its gRPC endpoint."""
    url: str
    """Root of the Open Inference Protocol for clients: the transformer's, or Triton's own without one."""
    transformer: bool
    """True if `url` is a transformer's; False if Triton is asked directly, and then by version."""
    since: datetime
    """When this version began to answer here."""


def route_file(serving: Path, environment: Environment, model: str) -> Path:
    """Returns the place of a route below the folder `serving` of this machine's state."""
    return serving / FOLDER / environment.value / f"{model}.json"
