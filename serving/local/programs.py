"""What runs on a machine that serves: for each program its name, its ports, and how it is started.

Here is the place for further programs, in the order in which they depend on each other. Each is one function
that returns a `Program`, and a line in `sluice up` (up.py).
"""

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contracts.environments import Environment
from contracts.routes import route_file
from kit.home import Home
from serving.local.state import LOOPBACK, Program
from serving.runtimes import triton as runtime
from serving.settings import ServingSettings

GATEWAY: Final = "gateway"
MONITORING: Final = "monitoring"
MLFLOW: Final = "mlflow"
REPOSITORIES: Final = "repositories"
"""The folder of Triton's model repositories, one for each environment."""
BACKENDS: Final = ".triton"
"""The folder of Triton's backend, which stays when the repositories go."""
TRITON_PORTS: Final = ("http", "grpc", "metrics")
HTTP_PORT: Final = ("http",)

_TRITON_PRIORITY: Final = 10
_TRANSFORMER_PRIORITY: Final = 20
_MLFLOW_PRIORITY: Final = 30
_GATEWAY_PRIORITY: Final = 40
_MONITORING_PRIORITY: Final = 50
_STOP_MARGIN_SECONDS: Final = 2
_PAGE_STOP_SECONDS: Final = 5
_GATEWAY_STOP_SECONDS: Final = 20
"""Twice what requests in flight are given (GATEWAY_DRAIN_SECONDS): what is remembered is then written."""
_MONITORING_STOP_SECONDS: Final = 40
"""A run under way is given 20 s to end, and a request 10."""

Ports = Mapping[str, int]


def triton_name(environment: Environment) -> str:
    """Returns the name of the Triton of an environment."""
    return f"triton-{environment}"


def transformer_name(environment: Environment) -> str:
    """Returns the name of the transformer of an environment."""
    return f"transformer-{environment}"


def repository(home: Home, environment: Environment) -> Path:
    """Returns the folder of an environment's model repository."""
    return home.serving / REPOSITORIES / environment.value


def triton(home: Home, environment: Environment, ports: Ports, settings: ServingSettings) -> Program:
    """Returns the Triton of an environment, which loads every model of its repository when it starts.

    Raises:
        TritonUnavailable: it cannot run on this machine; with the reason.
    """
    folder = repository(home, environment)
    folder.mkdir(parents=True, exist_ok=True)
    how = runtime.command(
        folder,
        runtime.Ports(**ports),
        load_all=True,
        backends=home.serving / BACKENDS,
        stop_seconds=settings.triton_stop_seconds,
    )
    return Program(
        name=triton_name(environment),
        command=how.arguments,
        variables=dict(how.environment),
        priority=_TRITON_PRIORITY,
        stop_seconds=math.ceil(settings.triton_stop_seconds) + _STOP_MARGIN_SECONDS,
    )


def transformer(home: Home, environment: Environment, model: str, ports: Ports) -> Program:
    """Returns the transformer of an environment, which follows the route of `model`."""
    from serving.transformer import launch

    how = launch.command(route_file(home.serving, environment, model), port=ports["http"])
    return Program(
        name=transformer_name(environment),
        command=how.arguments,
        variables=dict(how.environment) | _home(home),
        priority=_TRANSFORMER_PRIORITY,
        stop_seconds=launch.STOP_SECONDS + _STOP_MARGIN_SECONDS,
    )


def gateway(home: Home, ports: Ports) -> Program:
    """Returns the gateway, which finds what serves by the routes; its key is made when it starts."""
    variables = {
        "GATEWAY_DEVELOPMENT": "true",
        "GATEWAY_HOST": LOOPBACK,
        "GATEWAY_PORT": str(ports["http"]),
        "PYTHONUNBUFFERED": "1",
    }
    return Program(
        name=GATEWAY,
        command=(sys.executable, "-m", "gateway"),
        variables=variables | _home(home),
        priority=_GATEWAY_PRIORITY,
        stop_seconds=_GATEWAY_STOP_SECONDS,
    )


def monitoring(home: Home, ports: Ports) -> Program:
    """Returns the monitoring process, which finds the gateway by its address file and writes its own."""
    variables = {
        "MONITORING_HOST": LOOPBACK,
        "MONITORING_PORT": str(ports["http"]),
        "PYTHONUNBUFFERED": "1",
    }
    return Program(
        name=MONITORING,
        command=(sys.executable, "-m", "monitoring"),
        variables=variables | _home(home),
        priority=_MONITORING_PRIORITY,
        stop_seconds=_MONITORING_STOP_SECONDS,
    )


def mlflow(home: Home, ports: Ports, store: str) -> Program:
    """Returns MLflow's pages over the registry of this machine; `store` is its database's address."""
    command = (
        sys.executable, "-m", "mlflow", "server",
        "--host", LOOPBACK, "--port", str(ports["http"]), "--workers", "1",
        "--backend-store-uri", store,
        "--artifacts-destination", (home.root / "mlartifacts").as_uri(),
    )  # fmt: skip
    variables = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job runners are for what nobody uses here, and are several processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return Program(
        name=MLFLOW,
        command=command,
        variables=variables | _home(home),
        priority=_MLFLOW_PRIORITY,
        stop_seconds=_PAGE_STOP_SECONDS,
        stop_group=True,
    )


def _home(home: Home) -> dict[str, str]:
    """Returns how a process of Sluice finds its state, and not code in the folder where it works."""
    return {"SLUICE_HOME": os.fspath(home.root), "PYTHONSAFEPATH": "1"}
