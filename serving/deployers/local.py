"""Model versions on this machine: Triton and transformers as `sluice up` runs them.

A candidate is put beside the current version in the environment's model repository and loaded by Triton's
model control. Requests follow the route file: a transformer reads it, checks the version itself and flips.
Nothing is remembered between the steps; what answers is asked of those who answer.
"""

import time
from datetime import UTC, datetime
from typing import Final

from contracts.environments import Environment
from contracts.routes import Route
from kit import bundle as bundles
from kit.bundle import Bundle
from kit.errors import Bug, OperationalError
from serving import golden, model_repository
from serving.deployers.deployer import CandidateNotReady, CandidateRefused, ServingUnreachable, SwitchFailed
from serving.local import probes, programs, routing
from serving.local.stack import Addresses, ProgramFailed, Stack, StackDown
from serving.model_repository import Layout, ModelOptions, RepositoryRefused
from serving.runtimes.triton import TritonUnavailable
from serving.transformer import MODEL as TRANSFORMED
from serving.triton_control import TritonControl, TritonRefused, TritonUnreachable

_POLL_SECONDS: Final = 0.05


class LocalDeployer:
    """The deployer (serving/deployers/deployer.py) of the processes of one `Stack`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._home = stack.home
        self._settings = stack.settings
        self._options = ModelOptions(
            max_batch_size=self._settings.max_batch_size,
            queue_delay_microseconds=self._settings.queue_delay_microseconds,
            max_queue_size=self._settings.max_queue_size,
            instances=self._settings.instances,
        )

    @property
    def place(self) -> str:
        """Where this is, for people."""
        return "on this machine"

    def reachable(self) -> None:
        """Returns if `sluice up` has been here.

        Raises:
            ServingUnreachable: nothing runs.
        """
        if not self._stack.running():
            raise ServingUnreachable("Nothing serves on this machine.", next_step="sluice up")

    def running(self, environment: Environment) -> bool:
        """Tells whether the environment has a Triton here, even if that is just being restarted."""
        return self._stack.keeps(programs.triton_name(environment))

    def current(self, model: str, environment: Environment) -> str | None:
        """Returns the version that requests are answered by: as its transformer says, or the route."""
        if not self.running(environment):
            return None
        route = routing.read(self._home, environment, model)
        if route is None or not route.transformer:
            return route.version if route else None
        found = routing.reported(route.url)
        return found.version if found and found.version else route.version

    def loaded(self, model: str, environment: Environment) -> frozenset[str]:
        """Returns the versions that Triton has ready.

        Raises:
            ServingUnreachable: Triton does not answer.
        """
        if not self.running(environment):
            return frozenset()
        try:
            with self._control(self._triton(environment)) as control:
                return control.ready_versions(model)
        except TritonUnreachable as exc:
            raise ServingUnreachable(exc.message, next_step=exc.next_step) from exc

    def prepare(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Loads `version` beside the current one.

        Raises:
            CandidateNotReady: it cannot be loaded; the current one serves on.
            ServingUnreachable: Triton does not answer.
        """
        repository = programs.repository(self._home, environment)
        addresses = self._triton(environment)
        route = routing.read(self._home, environment, model)
        kept = {version}
        if route is not None and route.version in model_repository.stored_versions(repository, model):
            self._require_same_tensors(bundle, version, route)
            kept.add(route.version)
        try:
            model_repository.add_version(repository, bundle, version, Layout.PYTHON)
            model_repository.write_config(
                repository, bundle.contract, sorted(kept), Layout.PYTHON, self._options
            )
            with self._control(addresses) as control:
                if control.ready_versions(model) != kept:
                    control.load(model)
                if not control.model_ready(model, version):
                    raise CandidateNotReady("Triton does not have it ready.")
        except (TritonRefused, RepositoryRefused, OperationalError) as exc:
            # A Triton that this candidate ended comes back with what the configuration names.
            self._take_off(model, environment, version)
            reasons = " ".join(getattr(exc, "reasons", ()))
            raise CandidateNotReady(
                f"Version {version} of {model} cannot be loaded: {exc.message} {reasons}".rstrip(),
                next_step=f"sluice logs {programs.triton_name(environment)}",
            ) from exc

    def verify(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Holds the loaded version's tensors against its contract, and its answers against its own graph.

        Raises:
            CandidateRefused: something differs; with reasons.
            ServingUnreachable: Triton does not answer.
        """
        try:
            with self._control(self._triton(environment)) as control:
                golden.conformance(bundle.contract, control.metadata(model, version))
                golden.check(bundle, lambda inputs: control.infer(model, version, inputs))
        except TritonUnreachable as exc:
            raise ServingUnreachable(exc.message, next_step=exc.next_step) from exc
        except (golden.ContractMismatch, golden.GoldenMismatch, TritonRefused) as exc:
            raise CandidateRefused(
                f"Version {version} of {model} must not serve: {exc.message}",
                reasons=exc.reasons,
                next_step=exc.next_step,
            ) from exc

    def switch(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        """Writes the route, and waits until the transformer, where there is one, answers by `version`.

        Raises:
            SwitchFailed: the transformer did not accept it; the former route stands again.
            ServingUnreachable: Triton does not answer.
        """
        addresses = self._triton(environment)
        before = routing.read(self._home, environment, model)
        transformer = model == TRANSFORMED
        route = Route(
            model=model,
            environment=environment,
            version=version,
            bundle=bundle.folder,
            bundle_digest=bundle.digest,
            triton_http=addresses.http,
            triton_grpc=addresses.grpc,
            url=self._stack.transformer_url(environment) if transformer else f"http://{addresses.http}",
            transformer=transformer,
            since=before.since if before and before.version == version else datetime.now(UTC),
        )
        if route != before:
            routing.write(self._home, route)
        if not transformer:
            return
        try:
            self._follow(route)
        except SwitchFailed:
            self._restore(route, before)
            raise

    def retire(self, model: str, environment: Environment, version: str) -> None:
        """Unloads `version`, which served before, when those who were just sent to it are through."""
        self._require_other(model, environment, version)
        if self.running(environment) and version in self.loaded(model, environment):
            self._drain(model, environment, version)
        self._take_off(model, environment, version)

    def abandon(self, model: str, environment: Environment, version: str) -> None:
        """Unloads `version`, which never served."""
        self._require_other(model, environment, version)
        self._take_off(model, environment, version)

    def remove(self, model: str, environment: Environment) -> None:
        """Takes a model away from an environment, all versions and its route."""
        routing.remove(self._home, environment, model)
        if model == TRANSFORMED:
            self._stack.drop(programs.transformer_name(environment))
        self._unload(model, environment)

    def _follow(self, route: Route) -> None:
        name = programs.transformer_name(route.environment)
        try:
            self._stack.begin_transformer(route.environment, route.model)
        except (ProgramFailed, StackDown) as exc:
            raise SwitchFailed(exc.message, next_step=exc.next_step) from exc
        deadline = time.monotonic() + self._settings.switch_seconds
        found = None
        while time.monotonic() < deadline:
            found = routing.reported(route.url)
            if found is not None and found.version == route.version:
                return
            if found is not None and found.refused == route.version:
                raise SwitchFailed(
                    f"The transformer does not accept version {route.version}: {found.reason}",
                    next_step=f"sluice logs {name}",
                )
            if self._stack.given_up(name):
                break
            time.sleep(_POLL_SECONDS)
        told = f"it answers by version {found.version or 'none'}" if found else "it does not answer"
        raise SwitchFailed(
            f"The transformer did not take over version {route.version} in time: {told}.",
            next_step=f"sluice logs {name}",
        )

    def _restore(self, route: Route, before: Route | None) -> None:
        """Makes the route as it was: the transformer is not to come back with a version it did not accept."""
        if before is None:
            routing.remove(self._home, route.environment, route.model)
            self._stack.drop(programs.transformer_name(route.environment))
        elif before.version != route.version:
            routing.write(self._home, before)

    def _drain(self, model: str, environment: Environment, version: str) -> None:
        """Waits for requests that went to `version` before the switch; a transformer tells of them."""
        time.sleep(self._settings.drain_seconds)
        route = routing.read(self._home, environment, model)
        deadline = time.monotonic() + self._settings.switch_seconds
        while route is not None and route.transformer and time.monotonic() < deadline:
            found = routing.reported(route.url)
            if found is None or version not in found.ending:
                return
            time.sleep(_POLL_SECONDS)

    def _take_off(self, model: str, environment: Environment, version: str) -> None:
        """Leaves of a model, in Triton and on disk, what its route names; nothing if that is `version`."""
        repository = programs.repository(self._home, environment)
        route = routing.read(self._home, environment, model)
        stored = model_repository.stored_versions(repository, model)
        if route is None or route.version == version or route.version not in stored:
            self._unload(model, environment)
            return
        contract = bundles.load(route.bundle, digest=route.bundle_digest).contract
        model_repository.write_config(repository, contract, [route.version], Layout.PYTHON, self._options)
        if self.running(environment):
            try:
                with self._control(self._triton(environment)) as control:
                    if control.ready_versions(model) != {route.version}:
                        control.load(model)
            except TritonUnreachable as exc:
                raise ServingUnreachable(exc.message, next_step=exc.next_step) from exc
        for each in stored:
            if each != route.version:
                model_repository.remove_version(repository, model, each)

    def _unload(self, model: str, environment: Environment) -> None:
        # First from the disk: a Triton that the model has just ended must not load it again.
        model_repository.remove_model(programs.repository(self._home, environment), model)
        if self.running(environment):
            try:
                with self._control(self._triton(environment)) as control:
                    if control.ready_versions(model):
                        control.unload(model)
            except TritonUnreachable as exc:
                raise ServingUnreachable(exc.message, next_step=exc.next_step) from exc

    def _require_same_tensors(self, bundle: Bundle, version: str, route: Route) -> None:
        """Raises where Triton could not hold both versions: it has one description of tensors for a model."""
        serving = bundles.load(route.bundle, digest=route.bundle_digest).contract
        if (serving.inputs, serving.outputs) != (bundle.contract.inputs, bundle.contract.outputs):
            raise CandidateNotReady(
                f"Version {version} of {route.model} takes or gives other tensors than version "
                f"{route.version}, which serves: one Triton cannot hold both.",
                next_step="sluice down, then promote, then sluice up: callers wait meanwhile.",
            )

    def _require_other(self, model: str, environment: Environment, version: str) -> None:
        if self.current(model, environment) == version:
            raise Bug(f"Version {version} of {model} answers in {environment} and was to be unloaded.")

    def _triton(self, environment: Environment) -> Addresses:
        try:
            return self._stack.triton(environment)
        except (ProgramFailed, StackDown, TritonUnavailable) as exc:
            raise ServingUnreachable(exc.message, next_step=exc.next_step) from exc

    def _control(self, addresses: Addresses) -> TritonControl:
        return TritonControl(
            addresses.http,
            grpc=addresses.grpc,
            load_seconds=self._settings.triton_load_seconds,
            client=probes.client(self._settings.triton_answer_seconds, base=f"http://{addresses.http}"),
        )
