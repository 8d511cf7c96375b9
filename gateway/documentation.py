"""The OpenAPI document: FastAPI's, with what the routes leave to it and what is common to all."""

import importlib.metadata
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi


def described(api: FastAPI) -> dict[str, Any]:
    """Returns the OpenAPI document of the routes of `api`."""
    return get_openapi(
        title="Sluice gateway",
        version=importlib.metadata.version("sluice"),
        routes=api.router.routes,
    )
