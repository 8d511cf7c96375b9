"""Settings of the model servers and their repositories (prefix `SERVING_`)."""

from pydantic import Field

from kit.settings import Settings, settings_config


class ServingSettings(Settings):
    """How models are run, and how long we wait for those who run them."""

    owner = "serving"
    model_config = settings_config("SERVING_")

    max_batch_size: int = Field(default=32, ge=1, le=1024)
    """Rows that a model server runs at once; memory grows with rows times the longest text, and is kept."""

    queue_delay_microseconds: int = Field(default=0, ge=0, le=1_000_000)
    """How long a request waits for others to be run with."""

    max_queue_size: int = Field(default=1024, ge=1, le=1_000_000)
    """Requests that may wait for a model; further ones are refused at once."""

    instances: int = Field(default=2, ge=1, le=64)
    """Batches of a model version that are run at the same time."""

    triton_start_seconds: float = Field(default=60, gt=0, le=3600)
    """How long a model server may take to answer after its start."""

    triton_load_seconds: float = Field(default=120, gt=0, le=3600)
    """How long the load of a model may take."""

    triton_stop_seconds: float = Field(default=5, ge=1, le=600)
    """How long a model server may take to end requests in flight and stop; then it is killed."""

    triton_answer_seconds: float = Field(default=10, gt=0, le=600)
    """How long a control or inference request of our own may take."""

    program_start_seconds: float = Field(default=120, gt=0, le=3600)
    """How long another program of `sluice up` may take to be ready."""

    switch_seconds: float = Field(default=60, gt=0, le=3600)
    """How long a transformer may take to answer by another version."""

    drain_seconds: float = Field(default=1, ge=0, le=600)
    """How long a version stays loaded after a switch, for requests that were sent to it just before."""

    gateway: bool = True
    """Whether `sluice up` starts the gateway before what serves on this machine."""

    monitoring: bool = True
    """Whether `sluice up` starts the monitoring process: console, receiver, and the jobs by the clock."""

    mlflow_pages: bool = True
    """Whether `sluice up` starts MLflow's pages over the registry of this machine."""

    batch_part_rows: int = Field(default=500, ge=1, le=1_000_000)
    """Rows of one part of a batch scoring: what is done at once, and not done again after a stop."""

    ray_cpus: int = Field(default=0, ge=0, le=4096)
    """CPUs of the local Ray of a batch scoring; 0 means those that this process may use. RAY_ADDRESS names a
    cluster instead."""

    ray_object_store_bytes: int = Field(default=256 << 20, ge=80 << 20)
    """Shared memory of that Ray; only where parts lie goes through it."""
