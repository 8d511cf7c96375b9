"""What each task asks a cluster for: processor, memory, time, retries, caching, secrets, the data's volume.

A task that decides (a gate) or moves something is never retried: its failure is an answer. What only
computes is retried, because a node may go away under it. Cached are the tasks whose inputs name their data by
hash; `load` looks at what lies on the volume, and the last ones act on the registry.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pipelines.settings import PipelinesSettings

Profiled = Callable[[str, Any], None]
"""Takes a task's name and the task, and gives it what it needs."""

HOME: Final = "/var/lib/sluice"
"""SLUICE_HOME in the image."""


class Profile(NamedTuple):
    """What one task asks for; processors and memory are request and limit."""

    cpu: tuple[str, str]
    memory: tuple[str, str]
    minutes: int
    """Longest run of the task."""
    retries: int = 0
    cached: bool = False
    reads_home: bool = False
    """Needs the volume with corpus and feature stores."""


SMALL: Final = Profile(cpu=("500m", "1"), memory=("1Gi", "2Gi"), minutes=30)

PROFILES: Final[dict[str, Profile]] = {
    "load": SMALL._replace(retries=2, reads_home=True),
    "validate": SMALL._replace(memory=("2Gi", "4Gi"), reads_home=True),
    "features": Profile(cpu=("1", "2"), memory=("4Gi", "8Gi"), minutes=60, retries=2, reads_home=True),
    "search": Profile(cpu=("2", "8"), memory=("8Gi", "16Gi"), minutes=720, retries=2, cached=True),
    "fit": Profile(cpu=("2", "8"), memory=("8Gi", "16Gi"), minutes=240, retries=2, cached=True),
    "evaluate": Profile(cpu=("2", "4"), memory=("8Gi", "16Gi"), minutes=240, retries=2, cached=True),
    "export": Profile(cpu=("1", "2"), memory=("4Gi", "8Gi"), minutes=60, retries=1, cached=True),
    "register": SMALL._replace(retries=2),
    "gate": SMALL._replace(memory=("2Gi", "4Gi")),
    "stage": SMALL,
    "close": SMALL._replace(retries=2),
}

STORES: Final = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "RECORDS_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
"""Variables that the secret may hold; each is optional there."""


def none(_name: str, _task: Any) -> None:
    """Gives a task nothing: on one machine it has what the machine has."""


def for_cluster(settings: PipelinesSettings) -> Profiled:
    """Returns what gives each task its profile on Kubernetes."""
    from kfp import kubernetes

    def give(name: str, task: Any) -> None:
        profile = PROFILES[name]
        task.set_container_image(settings.image)
        kubernetes.set_image_pull_policy(task, settings.image_pull_policy)
        task.set_cpu_request(profile.cpu[0]).set_cpu_limit(profile.cpu[1])
        task.set_memory_request(profile.memory[0]).set_memory_limit(profile.memory[1])
        task.set_caching_options(profile.cached)
        if profile.retries:
            task.set_retry(profile.retries, backoff_duration="30s", backoff_factor=2.0)
        kubernetes.set_timeout(task, profile.minutes * 60)
        task.set_env_variable("SLUICE_HOME", HOME)
        # A label of the pod, not a parameter: a parameter would make every run new to the cache.
        kubernetes.use_field_path_as_env(task, "PIPELINES_RUN_ID", "metadata.labels['pipeline/runid']")
        if profile.reads_home:
            kubernetes.mount_pvc(task, settings.volume_claim, HOME)
        # Every task: one that fails leaves its reasons with the tracked run.
        kubernetes.use_secret_as_env(task, settings.secret, {key: key for key in STORES}, optional=True)

    return give
