"""Where people, channels and programs find monitoring: its paths, its address, and Prometheus' jobs."""

from enum import StrEnum
from pathlib import Path
from typing import Final

CONSOLE: Final = "/console"
"""The pages for people; those of one alert are below `/console/alerts/<id>`."""
HOOK_DRIFT: Final = "/hooks/drift"
"""Takes a signed event (Standard Webhooks)."""
HOOK_ALERTMANAGER: Final = "/hooks/alertmanager"
"""Takes Alertmanager's webhook (version 4)."""
LIVE: Final = "/health/live"
READY: Final = "/health/ready"
METRICS: Final = "/metrics"


class ScrapeJob(StrEnum):
    """The jobs under which Prometheus asks processes for metrics; rules and dashboards go by them.

    What transformers and Tritons tell does not name their environment: the target's label `environment` does.
    """

    GATEWAY = "sluice-gateway"
    TRANSFORMER = "sluice-transformer"
    TRITON = "sluice-triton"
    MONITORING = "sluice-monitoring"


def address_file(root: Path) -> Path:
    """Returns the file that holds the URL of the console that `sluice up` started."""
    return root / "monitoring" / "url"
