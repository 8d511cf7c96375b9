"""Settings of pipelines: the local runner, the tasks of a cluster, the endpoint (prefix `PIPELINES_`)."""

from pathlib import Path

from pydantic import Field, SecretStr

from kit.settings import Settings, settings_config


class PipelinesSettings(Settings):
    """How pipelines run, here and on Kubeflow Pipelines."""

    owner = "pipelines"
    model_config = settings_config("PIPELINES_")

    keep_runs: int = Field(default=10, ge=1, le=10_000)
    """Local runs whose step outputs stay on disk, for `--from-step`; of older ones the logs stay."""

    stop_grace_seconds: float = Field(default=10, ge=0, le=600)
    """After Ctrl-C, how long the steps may take to leave before they are killed."""

    run_id: str = ""
    """Of the run that a step is part of. The runner sets it; it is no setting of yours."""

    run_folder: Path | None = None
    """Where a local run keeps events and logs. The runner sets it; it is no setting of yours."""

    reuse_before: str = ""
    """The step of `--from-step`. The runner sets it; it is no setting of yours."""

    image: str = "sluice-training:0.1.0"
    """The image of every task on a cluster: built from requirements/training.txt."""

    image_pull_policy: str = Field(default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    """When a cluster fetches the image anew: Always, IfNotPresent or Never."""

    volume_claim: str = "sluice-home"
    """The volume claim that holds SLUICE_HOME (corpus, feature stores) for the tasks that read it."""

    secret: str = "sluice-training"  # noqa: S105 - the name of a secret
    """The Kubernetes secret with the addresses and passwords of MLflow and the records, by variable name."""

    endpoint: str = ""
    """Address of Kubeflow Pipelines, such as https://kubeflow.example.org/pipeline."""

    token: SecretStr | None = None
    """Bearer token for the endpoint; unset sends none."""

    namespace: str = ""
    """Kubernetes namespace of a multi-user Kubeflow; empty for a single-user one."""

    experiment: str = "sluice"
    """The experiment on the endpoint that runs belong to; it is made if need be."""

    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """Longest wait for the endpoint to answer one request."""

    poll_seconds: float = Field(default=10, gt=0, le=600)
    """With `--wait`, how often the endpoint is asked how far the run is."""
