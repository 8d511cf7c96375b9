"""What Prometheus finds on this machine: its targets, as it reads them from a file.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
"""

from collections.abc import Iterable
from typing import Any

from contracts.environments import Environment
from contracts.monitoring import ScrapeJob
from serving.local import programs
from serving.local.status import ProcessStatus


def targets(processes: Iterable[ProcessStatus]) -> list[dict[str, Any]]:
    """Returns one group for each process that tells metrics, with the labels that rules go by."""
    labels = _labels()
    return [
        {"targets": [process.addresses[use]], "labels": labels[process.name, use]}
        for process in processes
        for use in process.addresses
        if (process.name, use) in labels
    ]


def _labels() -> dict[tuple[str, str], dict[str, str]]:
    """Returns the labels of a target by the name of its program and the use of its port."""
    found = {
        (programs.GATEWAY, "http"): {"job": ScrapeJob.GATEWAY.value},
        (programs.MONITORING, "http"): {"job": ScrapeJob.MONITORING.value},
    }
    for environment in Environment:
        place = {"environment": environment.value}
        transformer, triton = programs.transformer_name(environment), programs.triton_name(environment)
        found[transformer, "http"] = {"job": ScrapeJob.TRANSFORMER.value, **place}
        found[triton, "metrics"] = {"job": ScrapeJob.TRITON.value, **place}
    return found
