"""Model versions on a cluster: one InferenceService of KServe for each model and environment.

A model with a transformer moves as on one machine: its predictor gets both versions, the new one is asked
through the API server, the transformer is replaced by one that asks for the new one, the old one is dropped
from the predictor. Any other model is asked without a version, and Triton then takes the highest number it
has; so a candidate of it gets an InferenceService of its own until it has proved itself.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from contracts.environments import Environment
from kit.bundle import Bundle
from serving import golden
from serving.deployers import cluster as kubernetes
from serving.deployers import rollout, storage
from serving.deployers.cluster import INFERENCE_SERVICE, Cluster, ClusterRefused
from serving.deployers.deployer import CandidateNotReady, CandidateRefused, SwitchFailed
from serving.deployers.manifests import VERSION, VERSIONS, Front, Wanted, inference_service, service_name
from serving.deployers.settings import DeploymentSettings
from serving.model_repository import ModelOptions
from serving.settings import ServingSettings
from serving.transformer import MODEL as TRANSFORMED
from serving.triton_control import TritonControl, TritonRefused, TritonUnreachable

_PORT: Final = 80
PREDICTOR: Final = "predictor"
TRANSFORMER: Final = "transformer"

BundleOf = Callable[[str, str], Bundle]
"""From a model and a version to its verified bundle."""


class Target(NamedTuple):
    """One InferenceService: its name, and what serves in it."""

    name: str
    model: str
    environment: Environment

    @property
    def transformed(self) -> bool:
        """Whether the model is asked through a transformer."""
        return self.model == TRANSFORMED

    def candidate(self) -> "Target":
        """Returns the InferenceService of a candidate beside this one."""
        return self._replace(name=f"{self.name}-candidate")


class Found(NamedTuple):
    """What an InferenceService is set to."""

    exists: bool = False
    versions: tuple[str, ...] = ()
    """In the predictor."""
    current: str | None = None
    """The version that requests are answered by; None while there is only a candidate."""


class KServeDeployer:
    """The deployer (serving/deployers/deployer.py) of one namespace."""

    def __init__(self, cluster: Cluster, settings: DeploymentSettings, bundle_of: BundleOf) -> None:
        self._cluster = cluster
        self._settings = settings
        self._bundle_of = bundle_of

    @property
    def place(self) -> str:
        """Where this is, for people."""
        return f"in the namespace {self._settings.namespace} of the cluster"

    def reachable(self) -> None:
        """Returns if the cluster answers, knows KServe, and lets us read its resources.

        Raises:
            ServingUnreachable: it does not answer, or does not accept the credentials.
            ClusterRefused: KServe is not there, or we may not.
        """
        self._cluster.list(INFERENCE_SERVICE, limit="1")

    def running(self, environment: Environment) -> bool:  # noqa: ARG002 - a cluster always serves
        """Tells that the environment serves: a cluster always does, from the first version on."""
        return True

    def current(self, model: str, environment: Environment) -> str | None:
        """Returns the version that the InferenceService sends requests to, or None."""
        return self._found(target(model, environment)).current

    def loaded(self, model: str, environment: Environment) -> frozenset[str]:
        """Returns the versions in the predictor, and that of a candidate beside it."""
        at = target(model, environment)
        return frozenset({*self._found(at).versions, *self._found(at.candidate()).versions})

    def prepare(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Loads `version`: into the predictor beside the current one, or into a service of its own.

        Raises:
            CandidateNotReady: it did not become ready; with what the cluster says.
        """
        at = target(model, environment)
        bundles = {version: bundle}
        try:
            if not at.transformed:
                self._apply(at.candidate(), bundles, None)
                return
            current = self._found(at).current
            if current is not None and current != version:
                bundles[current] = self._bundle_of(model, current)
            self._apply(at, bundles, current)
        except rollout.NotReady as exc:
            raise CandidateNotReady(
                f"Version {version} of {model} did not become ready: {' '.join(exc.reasons)}",
                next_step=self._look_at(at),
            ) from exc
        except ClusterRefused as exc:
            raise CandidateNotReady(exc.message, next_step=exc.next_step) from exc

    def verify(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Asks the version, through the API server, for its tensors and the golden rows.

        Raises:
            CandidateRefused: something differs; with reasons.
            CandidateNotReady: it does not answer.
        """
        at = target(model, environment)
        service = f"{at.name if at.transformed else at.candidate().name}-{PREDICTOR}"
        try:
            with TritonControl(service, client=self._cluster.through(service, _PORT)) as triton:
                golden.conformance(bundle.contract, triton.metadata(model, version))
                golden.check(bundle, lambda inputs: triton.infer(model, version, inputs))
        except TritonUnreachable as exc:
            raise CandidateNotReady(exc.message, next_step=exc.next_step) from exc
        except (golden.ContractMismatch, golden.GoldenMismatch, TritonRefused) as exc:
            raise CandidateRefused(
                f"Version {version} of {model} must not serve: {exc.message}",
                reasons=exc.reasons,
                next_step=exc.next_step,
            ) from exc

    def switch(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Replaces the transformer's pods, or the predictor's without one, by those of `version`.

        Raises:
            SwitchFailed: they did not become ready; with what the cluster says.
        """
        at = target(model, environment)
        loaded = self._found(at).versions if at.transformed else ()
        bundles = {other: self._bundle_of(model, other) for other in loaded} | {version: bundle}
        try:
            self._apply(at, bundles, version)
        except rollout.NotReady as exc:
            raise SwitchFailed(
                f"Version {version} of {model} did not take over in {environment}: {' '.join(exc.reasons)}",
                next_step=self._look_at(at),
            ) from exc
        except ClusterRefused as exc:
            raise SwitchFailed(exc.message, next_step=exc.next_step) from exc

    def retire(self, model: str, environment: Environment, version: str) -> None:
        """Drops `version` from the predictor, and the service of the candidate, which serves now."""
        self._leave_out(target(model, environment), version)

    def abandon(self, model: str, environment: Environment, version: str) -> None:
        """Drops `version` from the predictor, or its service."""
        self._leave_out(target(model, environment), version)

    def _leave_out(self, at: Target, version: str) -> None:
        found = self._found(at)
        if found.current == version:
            raise SwitchFailed(f"Version {version} of {at.model} serves in {at.environment}, so it stays.")
        if not at.transformed:
            self._cluster.delete(INFERENCE_SERVICE, at.candidate().name)
        elif found.exists and found.current is None:
            self._cluster.delete(INFERENCE_SERVICE, at.name)
        elif version in found.versions:
            rest = {each: self._bundle_of(at.model, each) for each in found.versions if each != version}
            try:
                self._apply(at, rest, found.current)
            except rollout.NotReady as exc:
                raise CandidateNotReady(
                    f"{at.name} did not become ready without version {version}: {' '.join(exc.reasons)}",
                    next_step=self._look_at(at),
                ) from exc

    def _apply(self, at: Target, bundles: Mapping[str, Bundle], current: str | None) -> None:
        upload(bundles, current if at.transformed else None, self._settings)
        manifest = manifest_of(at, bundles, current, self._settings)
        self._cluster.apply(INFERENCE_SERVICE, manifest)
        rollout.wait(
            self._cluster,
            at.name,
            {component: spec["labels"] for component, spec in manifest["spec"].items()},
            seconds=self._settings.ready_seconds,
            poll_seconds=self._settings.poll_seconds,
        )

    def _found(self, at: Target) -> Found:
        service = self._cluster.get(INFERENCE_SERVICE, at.name)
        if service is None:
            return Found()
        labels = {component: spec.get("labels", {}) for component, spec in service["spec"].items()}
        versions = labels.get(PREDICTOR, {}).get(VERSIONS, "")
        current = labels.get(TRANSFORMER, {}).get(VERSION) or labels.get(PREDICTOR, {}).get(VERSION)
        return Found(True, tuple(filter(None, versions.split("_"))), current)

    def _look_at(self, at: Target) -> str:
        return f"kubectl -n {self._settings.namespace} describe inferenceservice {at.name}"


def target(model: str, environment: Environment) -> Target:
    """Returns the InferenceService of a model in an environment."""
    return Target(service_name(model, environment), model, environment)


def manifest_of(
    at: Target, bundles: Mapping[str, Bundle], current: str | None, settings: DeploymentSettings
) -> dict[str, Any]:
    """Returns the manifest of an InferenceService with `bundles` (by version), answering by `current`.

    Raises:
        SettingsError: a setting that it needs is missing.
    """
    root = settings.readable_root()
    front = None
    if at.transformed and current is not None:
        uri = f"{root}/{storage.bundle_prefix(current, bundles[current])}"
        front = Front(current, uri, bundles[current].digest, settings.required_transformer_image())
    return inference_service(
        Wanted(
            name=at.name,
            model=at.model,
            environment=at.environment,
            versions=tuple(storage.ordered(bundles)),
            repository_uri=f"{root}/{storage.repository_prefix(bundles)}",
            current=current,
            front=front,
        ),
        settings,
    )


def upload(bundles: Mapping[str, Bundle], front: str | None, settings: DeploymentSettings) -> None:
    """Writes Triton's repository of `bundles` into the store, and the bundle of the version `front`.

    Raises:
        StorageFailed: the store refuses, or does not answer.
        SettingsError: no store is named.
    """
    root = settings.writable_root()
    serving = ServingSettings.load()
    options = ModelOptions(
        max_batch_size=serving.max_batch_size,
        queue_delay_microseconds=serving.queue_delay_microseconds,
        max_queue_size=serving.max_queue_size,
        instances=serving.instances,
    )
    storage.upload_repository(bundles, root, options)
    if front is not None:
        storage.upload_bundle(front, bundles[front], root)


def opened(settings: DeploymentSettings, bundle_of: BundleOf) -> KServeDeployer:
    """Returns the deployer of the namespace that `settings` name; nothing is asked of the cluster yet.

    Raises:
        ServingUnreachable: there are no credentials, or they cannot be read.
    """
    return KServeDeployer(kubernetes.opened(settings), settings, bundle_of)
