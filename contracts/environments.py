"""The environments a caller may ask for, and the header that asks."""

from enum import StrEnum

HEADER = "X-Environment"


class Environment(StrEnum):
    """Where a model version serves; also the name of the MLflow alias that points at it."""

    STAGING = "staging"
    PRODUCTION = "production"


DEFAULT = Environment.STAGING
