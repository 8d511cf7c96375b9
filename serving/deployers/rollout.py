"""Waiting until a cluster does what it was told, and the reason in words when it does not.

An InferenceService stays Ready while its pods are replaced, so the pods are asked: a change is done when
every pod that is not going away carries the new labels and is ready.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from serving.deployers.cluster import EVENT, INFERENCE_SERVICE, POD, Cluster

OWNER: Final = "serving.kserve.io/inferenceservice"
"""KServe's label on every pod of an InferenceService."""
COMPONENT: Final = "component"
_LISTED: Final = 5
_ENDED: Final = frozenset({"Succeeded", "Failed"})


class NotReady(Exception):
    """A change was not done in time; `reasons` says what the cluster says."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = tuple(reasons)


def wait(
    cluster: Cluster,
    name: str,
    components: Mapping[str, Mapping[str, str]],
    *,
    seconds: float,
    poll_seconds: float,
) -> None:
    """Returns when `components` (their labels, by name) are what runs, ready, and nothing else does.

    Raises:
        NotReady: they are not after `seconds`, or the resource was deleted meanwhile.
        ServingUnreachable: the cluster does not answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        service = cluster.get(INFERENCE_SERVICE, name)
        if service is None:
            raise NotReady([f"The InferenceService {name} was deleted meanwhile."])
        pods = cluster.list(POD, labelSelector=f"{OWNER}={name}")
        if _is_ready(service) and all(
            _runs(pods, component, labels) for component, labels in components.items()
        ):
            return
        if time.monotonic() >= deadline:
            raise NotReady(reasons(cluster, service, pods))
        time.sleep(poll_seconds)


def reasons(cluster: Cluster, service: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns what the cluster says of an InferenceService that is not ready: conditions, pods, warnings."""
    found = [
        f"{condition['type']}: {condition.get('reason', '')} {condition.get('message', '')}".strip()
        for condition in service.get("status", {}).get("conditions", [])
        if condition.get("status") != "True" and condition.get("severity") != "Info"
    ]
    for pod in pods:
        found += _complaints(pod)
    names = {service["metadata"]["name"], *(pod["metadata"]["name"] for pod in pods)}
    warnings = [
        f"{event['involvedObject']['name']}: {event.get('reason', '')} {event.get('message', '')}".strip()
        for event in cluster.list(EVENT, fieldSelector="type=Warning")
        if event.get("involvedObject", {}).get("name") in names
    ]
    told = [*dict.fromkeys([*found, *warnings[-_LISTED:]])]
    if not told and not pods:
        told = ["No pod was made: KServe's controller did not act on it."]
    return told or ["Its pods are ready, but they are still those of the former configuration."]


def _is_ready(service: Mapping[str, Any]) -> bool:
    status = service.get("status", {})
    seen = status.get("observedGeneration")
    if seen is not None and seen < service["metadata"].get("generation", 0):
        return False
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions", [])
    )


def _runs(pods: Sequence[Mapping[str, Any]], component: str, labels: Mapping[str, str]) -> bool:
    alive = [
        pod
        for pod in pods
        if pod["metadata"].get("labels", {}).get(COMPONENT) == component
        and "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in _ENDED
    ]
    return bool(alive) and all(
        labels.items() <= pod["metadata"]["labels"].items() and _pod_ready(pod) for pod in alive
    )


def _pod_ready(pod: Mapping[str, Any]) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod.get("status", {}).get("conditions", [])
    )


def _complaints(pod: Mapping[str, Any]) -> list[str]:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    found = [
        f"{name}: {condition.get('reason', '')} {condition.get('message', '')}".strip()
        for condition in status.get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        for kind, state in {**container.get("lastState", {}), **container.get("state", {})}.items():
            reason = state.get("reason", "")
            if kind == "running" or (kind == "terminated" and reason == "Completed"):
                continue
            told = f"{name}/{container['name']}: {reason} {state.get('message', '')}".strip()
            found.append(f"{told} ({container.get('restartCount', 0)} restarts)")
    return found
