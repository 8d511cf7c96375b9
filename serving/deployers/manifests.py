"""The InferenceService of one model in one environment, as KServe takes it in Standard mode: pure data.

A model that is asked through a transformer has both components; its predictor may hold several versions, of
which the transformer asks one by number. Any other model has a predictor alone. docs/promotion.md says why.
"""

from dataclasses import dataclass
from typing import Any, Final

from contracts.environments import Environment
from serving.deployers.settings import DeploymentSettings
from serving.deployers.storage import ordered

LABEL: Final = "sluice.dev/"
MODEL: Final = f"{LABEL}model"
ENVIRONMENT: Final = f"{LABEL}environment"
VERSIONS: Final = f"{LABEL}versions"
"""Label of the predictor and its pods: every version that is loaded, joined by underscores."""
VERSION: Final = f"{LABEL}version"
"""Label of what requests come to first, and of its pods: the version that answers."""
TRANSFORMER_CONTAINER: Final = "kserve-container"
"""The name by which KServe knows the container of a component."""
MOUNTED: Final = "/mnt/models"
"""Where KServe puts what it downloads."""

_HTTP: Final = 8080
_SERVICE: Final = 80
_GRPC: Final = 9000
_LIVE: Final = "/v2/health/live"
_READY: Final = "/v2/health/ready"
_DRAIN_SECONDS: Final = 30


@dataclass(frozen=True)
class Front:
    """The transformer: the version it asks for, and where its bundle is."""

    version: str
    bundle_uri: str
    bundle_digest: str
    image: str


@dataclass(frozen=True)
class Wanted:
    """What is to serve: the versions in the predictor, and the transformer before it, if there is one."""

    name: str
    """Of the InferenceService."""
    model: str
    environment: Environment
    versions: tuple[str, ...]
    repository_uri: str
    """Of Triton's repository with these versions; it ends with a slash."""
    current: str | None = None
    """The version that requests are answered by; None for a candidate beside it."""
    front: Front | None = None


def service_name(model: str, environment: Environment) -> str:
    """Returns the name of the InferenceService: the model's own in production."""
    return model if environment is Environment.PRODUCTION else f"{model}-{environment}"


def inference_service(wanted: Wanted, settings: DeploymentSettings) -> dict[str, Any]:
    """Returns the manifest; the same arguments give the same manifest."""
    spec: dict[str, Any] = {"predictor": _predictor(wanted, settings)}
    if wanted.front is not None:
        spec["transformer"] = _transformer(wanted.front, settings)
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": wanted.name,
            "namespace": settings.namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "sluice",
                MODEL: wanted.model,
                ENVIRONMENT: wanted.environment.value,
            },
            # Independent of the cluster's default, which the chart of KServe sets to Knative.
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": spec,
    }


def _predictor(wanted: Wanted, settings: DeploymentSettings) -> dict[str, Any]:
    # By the model's name: a server that found no model in its storage is healthy, and useless.
    ready = f"/v2/models/{wanted.model}/ready"
    labels = {VERSIONS: "_".join(ordered(dict.fromkeys(wanted.versions)))}
    if wanted.front is None and wanted.current is not None:
        labels[VERSION] = wanted.current
    return _pod(labels, settings) | {
        "model": {
            "modelFormat": {"name": "triton", "version": "2"},
            "runtime": settings.triton_runtime,
            "runtimeVersion": settings.triton_tag,
            "protocolVersion": "v2",
            "storageUri": wanted.repository_uri,
            # A model that cannot be loaded is a reason not to start, and not to start without it.
            "args": [
                "--strict-readiness=true",
                "--exit-on-error=true",
                f"--exit-timeout-secs={_DRAIN_SECONDS}",
            ],
            # Of two ports the first becomes 80 of the Service, and the second keeps its number.
            "ports": [
                {"name": "http1", "containerPort": _HTTP, "protocol": "TCP"},
                {"name": "h2c", "containerPort": _GRPC, "protocol": "TCP"},
            ],
            "startupProbe": _asked(ready) | {"periodSeconds": 2, "failureThreshold": 150},
            "readinessProbe": _asked(ready)
            | {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
            "livenessProbe": _asked(_LIVE)
            | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
            "resources": _resources(settings.triton_cpu, settings.triton_memory),
            "securityContext": _security(),
            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - of the container
        }
    }


def _transformer(front: Front, settings: DeploymentSettings) -> dict[str, Any]:
    sources = [
        {kind: {"name": name}}
        for kind, name in (
            ("configMapRef", settings.transformer_config),
            ("secretRef", settings.transformer_secret),
        )
        if name is not None
    ]
    variables = {
        # KServe's downloader puts this into the container, as it does for a predictor.
        "STORAGE_URI": front.bundle_uri,
        "SLUICE_HOME": "/tmp/sluice",  # noqa: S108 - of the container
        "TRANSFORMER_HOST": "0.0.0.0",  # noqa: S104 - of the container
        "TRANSFORMER_PORT": str(_HTTP),
        "TRANSFORMER_BUNDLE": MOUNTED,
        "TRANSFORMER_BUNDLE_DIGEST": front.bundle_digest,
        "TRANSFORMER_VERSION": front.version,
        "TRANSFORMER_PREDICTOR_HTTP_PORT": str(_SERVICE),
    }
    container: dict[str, Any] = {
        "name": TRANSFORMER_CONTAINER,
        "image": front.image,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "http1", "containerPort": _HTTP, "protocol": "TCP"}],
        # Ready only when Triton's tensors are the contract's and golden rows come back as the bundle's own.
        "startupProbe": _asked(_READY) | {"periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": _asked(_READY) | {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": _asked(_LIVE) | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "resources": _resources(settings.transformer_cpu, settings.transformer_memory),
        "securityContext": _security(),
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - of the container
    }
    if sources:
        container["envFrom"] = sources
    return _pod({VERSION: front.version}, settings) | {"containers": [container]}


def _pod(labels: dict[str, str], settings: DeploymentSettings) -> dict[str, Any]:
    """Returns what both components share; no pod is taken away before its successor is ready."""
    account = {} if settings.service_account is None else {"serviceAccountName": settings.service_account}
    return account | {
        "labels": labels,
        "minReplicas": settings.min_replicas,
        "maxReplicas": max(settings.min_replicas, settings.max_replicas),
        "deploymentStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        # A Service named like one of our prefixes would inject variables that the settings refuse (ADR 3).
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 2 * _DRAIN_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}],
    }


def _asked(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": _HTTP}}


def _resources(cpu: str, memory: str) -> dict[str, Any]:
    """Returns requests and limits; memory is not shared, and processor time beyond the request is."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def _security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
