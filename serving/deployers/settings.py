"""Settings of where model versions serve (prefix `DEPLOYMENT_`)."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from kit.settings import Settings, SettingsError, settings_config

_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi)?$"


class Place(StrEnum):
    """Where promotions go."""

    MACHINE = "machine"
    CLUSTER = "cluster"


class DeploymentSettings(Settings):
    """Where promotions go, and what an InferenceService is made of."""

    owner = "serving.deployers"
    model_config = settings_config("DEPLOYMENT_")

    place: Place = Place.MACHINE
    """`machine`: the processes of `sluice up`. `cluster`: KServe."""

    namespace: str = Field(default="default", pattern=_NAME)
    """The namespace of the InferenceServices."""

    kubeconfig: Path | None = None
    """The file with the cluster's address and credentials; without it: the pod's own service account, then
    KUBECONFIG, then ~/.kube/config."""

    context: str | None = None
    """The context of that file; without it, the current one."""

    repository_uri: str | None = None
    """Where bundles and Triton's repositories are written: a folder, or an s3:// or gs:// prefix."""

    storage_uri: str | None = None
    """The same place as the cluster reads it, if that differs, like pvc://models for a mounted folder."""

    service_account: str | None = Field(default=None, pattern=_NAME)
    """The service account that may read the storage."""

    triton_runtime: str = Field(default="kserve-tritonserver", pattern=_NAME)
    """The ClusterServingRuntime of Triton."""

    triton_tag: str = Field(default="24.10-py3", pattern=r"^[\w.-]+$")
    """The tag of Triton's image; 24.10 reads the graphs that Sluice writes (docs/bundle.md)."""

    transformer_image: str | None = None
    """The image of the transformer; without it, models that need one cannot be deployed to a cluster."""

    transformer_config: str | None = Field(default=None, pattern=_NAME)
    """A ConfigMap with further variables of the transformer: where the feature store is, and so on."""

    transformer_secret: str | None = Field(default=None, pattern=_NAME)
    """A Secret with further variables of the transformer."""

    min_replicas: int = Field(default=1, ge=1, le=1000)
    """Pods of each component at least; none at all would be a cold start for a caller."""

    max_replicas: int = Field(default=2, ge=1, le=1000)
    """Pods of each component at most."""

    triton_cpu: str = Field(default="1", pattern=_QUANTITY)
    """CPUs of one Triton."""

    triton_memory: str = Field(default="2Gi", pattern=_QUANTITY)
    """Memory of one Triton, also its limit."""

    transformer_cpu: str = Field(default="1", pattern=_QUANTITY)
    """CPUs of one transformer."""

    transformer_memory: str = Field(default="1Gi", pattern=_QUANTITY)
    """Memory of one transformer, also its limit."""

    ready_seconds: float = Field(default=600, gt=0, le=7200)
    """How long a change may take until every pod is ready."""

    poll_seconds: float = Field(default=2, gt=0, le=60)
    """How often is asked for that."""

    answer_seconds: float = Field(default=10, gt=0, le=600)
    """How long one answer of the cluster may take."""

    def writable_root(self) -> str:
        """Returns where models are written for the cluster, without a slash at its end.

        Raises:
            SettingsError: nothing is named.
        """
        if self.repository_uri is None:
            raise SettingsError(
                "Nothing says where models are stored for the cluster.",
                next_step="Name a place that it can read: DEPLOYMENT_REPOSITORY_URI=s3://…",
            )
        return self.repository_uri.rstrip("/")

    def readable_root(self) -> str:
        """Returns the same place as the cluster reads it; raises as `writable_root` does."""
        return self.storage_uri.rstrip("/") if self.storage_uri else self.writable_root()

    def required_transformer_image(self) -> str:
        """Returns the image of the transformer.

        Raises:
            SettingsError: none is named.
        """
        if self.transformer_image is None:
            raise SettingsError(
                "The model is asked through a transformer, and no image of it is named.",
                next_step="Build it and name it: DEPLOYMENT_TRANSFORMER_IMAGE=…",
            )
        return self.transformer_image
