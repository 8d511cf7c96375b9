"""Recent runs of the training pipeline: why they ran, what came out, what the gate said."""

import os
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitoring.console.people import Person
from monitoring.console.site import Site, number_of
from records.model_registry import TRACKING_URI
from records.repositories import paged
from records.tables import ExperimentRun

FIRST: Final = ("f1", "precision", "recall", "accuracy", "roc_auc")
"""Figures that are shown at once; the others open."""


def routes(site: Site) -> list[Route]:
    """Returns its route."""

    async def recent(request: Request, person: Person) -> Response:
        async with site.parts.records.reading() as session:
            page = await paged.runs(session, number_of(request))
        return site.answer(
            "runs.html",
            person,
            page=page,
            first=FIRST,
            tracked={run.id: mlflow_page(run) for run in page.rows},
        )

    return [site.page("/runs", recent)]


def mlflow_page(run: ExperimentRun) -> str:
    """Returns the address of the run in MLflow; empty if there is no server of it, or no tracked run."""
    server = os.environ.get(TRACKING_URI, "")
    if not run.mlflow_run_id or not server.startswith(("http://", "https://")):
        return ""
    return f"{server.rstrip('/')}/#/runs/{quote(run.mlflow_run_id, safe='')}"
