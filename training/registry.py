"""The model registry and the tracking of runs: MLflow behind small functions; nothing else imports it.

A model version is made in the last step of all, from a bundle that is whole on disk. It has one of three
standings: `pending` (no gate has spoken: also what a crash leaves), `eligible`, or `refused` with the
reasons. Only an eligible one gets an alias; aliases are the environments of contracts/environments.py.
"""

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from contracts.environments import Environment
from kit.home import Home
from training.versions import (
    ModelVersion,
    NotEligible,
    RegistryUnauthorised,
    RegistryUnavailable,
    RunState,
    Standing,
    VersionMissing,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRACKING_URI: Final = "MLFLOW_TRACKING_URI"
"""MLflow's own variable; unset means SQLite under SLUICE_HOME."""

PREFIX: Final = "sluice."
STANDING: Final = f"{PREFIX}standing"
REASONS: Final = f"{PREFIX}reasons"
BUNDLE_DIGEST: Final = f"{PREFIX}bundle_digest"
RUN: Final = f"{PREFIX}run"
_PARENT: Final = "mlflow.parentRunId"
_RESERVED: Final = frozenset({STANDING, REASONS, BUNDLE_DIGEST, RUN})
_BATCH: Final = 100
"""Parameters, and tags, that MLflow takes in one request."""
_METRICS_BATCH: Final = 1000
_MISSING: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_UNAUTHORISED: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"})


class Registry:
    """An open connection to MLflow; make it with `opened`."""

    def __init__(self, client: "MlflowClient", uri: str, artifacts: str | None) -> None:
        self._client = client
        self.uri = uri
        self._artifacts = artifacts

    # Runs.

    def begin_run(
        self, experiment: str, name: str, *, run: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """Returns the id of the tracked run of pipeline run `run`: the one there is, or a new one."""
        with _translated():
            experiment_id = self._experiment(experiment)
            found = self._client.search_runs(
                [experiment_id], filter_string=f"tags.`{RUN}` = '{run}' and tags.`{PREFIX}kind` = 'pipeline'"
            )
            if found:
                return str(found[0].info.run_id)
            known = {**_prefixed(tags or {}), RUN: run, f"{PREFIX}kind": "pipeline"}
            return str(self._client.create_run(experiment_id, run_name=name, tags=known).info.run_id)

    def log_trial(
        self,
        parent: str,
        name: str,
        *,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        state: RunState = RunState.FINISHED,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Returns the id of a finished run nested under run `parent`."""
        with _translated():
            experiment_id = self._client.get_run(parent).info.experiment_id
            known = {**_prefixed(tags or {}), _PARENT: parent, f"{PREFIX}kind": "trial"}
            trial = str(self._client.create_run(experiment_id, run_name=name, tags=known).info.run_id)
            self.log(trial, parameters=parameters, metrics=metrics)
            self._client.set_terminated(trial, status=state.value)
            return trial

    def log(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Adds parameters, metrics and tags to a run; a parameter is written once and for all."""
        from mlflow.entities import Metric, Param, RunTag

        now = round(datetime.now(UTC).timestamp() * 1000)
        params = [Param(key, _told(value)) for key, value in (parameters or {}).items()]
        figures = [Metric(key, float(value), now, 0) for key, value in (metrics or {}).items()]
        marks = [RunTag(key, value) for key, value in _prefixed(tags or {}).items()]
        with _translated():
            for batch in _batches(figures, _METRICS_BATCH):
                self._client.log_batch(run_id, metrics=batch)
            for batch in _batches(params, _BATCH):
                self._client.log_batch(run_id, params=batch)
            for batch in _batches(marks, _BATCH):
                self._client.log_batch(run_id, tags=batch)

    def log_files(self, run_id: str, folder: Path, name: str) -> None:
        """Keeps every file of `folder` with a run, under the folder `name`."""
        with _translated():
            self._client.log_artifacts(run_id, str(folder), artifact_path=name)

    def end_run(self, run_id: str, state: RunState) -> None:
        """Marks a run as ended."""
        with _translated():
            self._client.set_terminated(run_id, status=state.value)

    def trials(self, parent: str) -> list[dict[str, Any]]:
        """Returns name, parameters, metrics and state of each run nested under `parent`, oldest first."""
        with _translated():
            experiment_id = self._client.get_run(parent).info.experiment_id
            found = self._client.search_runs(
                [experiment_id],
                filter_string=f"tags.`{_PARENT}` = '{parent}'",
                order_by=["attributes.start_time ASC"],
                max_results=1000,
            )
        return [
            {
                "name": run.info.run_name,
                "parameters": dict(run.data.params),
                "metrics": dict(run.data.metrics),
                "state": run.info.status,
            }
            for run in found
        ]

    def run_figures(self, run_id: str) -> dict[str, float]:
        """Returns the metrics of a run by name."""
        with _translated():
            return dict(self._client.get_run(run_id).data.metrics)

    def run_tags(self, run_id: str) -> dict[str, str]:
        """Returns our tags of a run, without the prefix."""
        with _translated():
            tags = self._client.get_run(run_id).data.tags
        return {key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)}

    def run_link(self, run_id: str) -> str:
        """Returns where a person looks at a run: a page of the server, or the command that starts one."""
        if not self.uri.startswith("http"):
            return f"mlflow server --backend-store-uri {self.uri}  (run {run_id})"
        with _translated():
            experiment_id = self._client.get_run(run_id).info.experiment_id
        return f"{self.uri.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"

    # Model versions.

    def register(
        self, name: str, bundle: Path, *, digest: str, run_id: str, tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Returns the new version of model `name` that holds the bundle folder; its standing is `pending`.

        The files are stored first and the version is made last: a crash in between leaves files that nothing
        points at, and never half a version. A bundle that run has registered already is returned as it is.
        """
        for version in self.versions(name):
            if version.run_id == run_id and version.bundle_digest == digest:
                return version
        from mlflow.exceptions import MlflowException

        with _translated():
            experiment_id = self._client.get_run(run_id).info.experiment_id
            stored = self._client.create_logged_model(experiment_id, name="bundle", source_run_id=run_id)
            self._client.log_model_artifacts(stored.model_id, str(bundle))
            self._client.finalize_logged_model(stored.model_id, "READY")
            with contextlib.suppress(MlflowException):  # it exists: versions() would have failed otherwise
                self._client.create_registered_model(name)
            # A database store would ask MLflow's process-wide default store what models:/ means: name the
            # place instead. A server resolves the name itself, and refuses the place.
            remote = self.uri.startswith("http")
            made = self._client.create_model_version(
                name,
                source=f"models:/{stored.model_id}" if remote else stored.artifact_location,
                run_id=run_id,
                model_id=stored.model_id,
                tags={**_prefixed(tags or {}), STANDING: Standing.PENDING.value, BUNDLE_DIGEST: digest},
            )
        return self.version(name, str(made.version))

    def judge(self, name: str, version: str, *, accepted: bool, reasons: Sequence[str]) -> ModelVersion:
        """Writes what the gate said of a version, the reasons first, and returns the version.

        Raises:
            NotEligible: a gate refused it before; a refusal is for good.
        """
        before = self.version(name, version)
        if before.standing is Standing.REFUSED and accepted:
            raise NotEligible(
                f"Version {version} of {name} was refused before, and a version is judged once.",
                reasons=before.reasons,
                next_step="Train a new version.",
            )
        standing = Standing.ELIGIBLE if accepted else Standing.REFUSED
        with _translated():
            self._client.set_model_version_tag(name, version, REASONS, json.dumps(list(reasons)))
            self._client.set_model_version_tag(name, version, STANDING, standing.value)
            if not accepted:
                for alias in before.aliases:
                    self._client.delete_registered_model_alias(name, alias)
        return self.version(name, version)

    def point(self, name: str, environment: Environment, version: str) -> str | None:
        """Moves the alias of `environment` to `version` and returns the version it pointed at, or None.

        Raises:
            NotEligible: the gate refused the version, or has not spoken; the alias stays.
        """
        wanted = self.version(name, version)
        if wanted.standing is not Standing.ELIGIBLE:
            told = "was refused by the gate" if wanted.standing is Standing.REFUSED else "was never judged"
            raise NotEligible(
                f"Version {version} of {name} {told}, so {environment} cannot point at it.",
                reasons=wanted.reasons or ["No gate has accepted it."],
                next_step="Train a version that the gate accepts: sluice pipeline run",
            )
        before = self.pointed(name, environment)
        with _translated():
            self._client.set_registered_model_alias(name, environment.value, version)
        return before.version if before else None

    def pointed(self, name: str, environment: Environment) -> ModelVersion | None:
        """Returns the version that `environment` points at, or None."""
        from mlflow.exceptions import MlflowException

        with _translated():
            try:
                found = self._client.get_model_version_by_alias(name, environment.value)
            except MlflowException as exc:
                if _is_missing(exc):
                    return None
                raise
        return self.version(name, str(found.version))

    def version(self, name: str, version: str) -> ModelVersion:
        """Returns one version.

        Raises:
            VersionMissing: there is none.
        """
        with _translated(f"version {version} of {name}"):
            return _version(self._client.get_model_version(name, version))

    def versions(self, name: str) -> list[ModelVersion]:
        """Returns every version of a model, newest first; a model that nobody registered has none."""
        found: list[Any] = []
        token: str | None = None
        with _translated():
            while True:
                page = self._client.search_model_versions(f"name = '{name}'", page_token=token)
                found += page
                token = page.token
                if not token:
                    break
            # A search does not fill in the aliases; the model knows them.
            aliases: dict[str, list[str]] = {}
            if found:
                for alias, version in self._client.get_registered_model(name).aliases.items():
                    aliases.setdefault(str(version), []).append(alias)
        listed = [_version(item, aliases.get(str(item.version), [])) for item in found]
        return sorted(listed, key=lambda item: int(item.version), reverse=True)

    def names(self) -> list[str]:
        """Returns the names of the registered models."""
        with _translated():
            return sorted(model.name for model in self._client.search_registered_models(max_results=1000))

    def download(self, name: str, version: str, folder: Path) -> Path:
        """Returns `folder` with the bundle of a version in it; load it with its digest, which verifies it."""
        import mlflow

        folder.mkdir(parents=True, exist_ok=True)
        with _translated(f"version {version} of {name}"), _without_bars():
            place = self._client.get_model_version_download_uri(name, version)
            got = mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=str(folder), tracking_uri=self.uri
            )
        return Path(got)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            place = None if self._artifacts is None else f"{self._artifacts}/{name}"
            try:
                return str(self._client.create_experiment(name, artifact_location=place))
            except MlflowException:
                # Another process made it meanwhile.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def opened(home: Home, *, timeout_seconds: float = 5, uri: str | None = None) -> Registry:
    """Returns the registry of this machine after asking it for a sign of life.

    `uri` is MLflow's address; None means what MLFLOW_TRACKING_URI says, and without that SQLite and files
    under SLUICE_HOME. The wait is bounded: `timeout_seconds` to connect and the same for an answer.

    Raises:
        RegistryUnavailable: MLflow cannot be reached or does not answer in time.
        RegistryUnauthorised: it refuses the credentials.
    """
    address = uri or os.environ.get(TRACKING_URI) or f"sqlite:///{home.root / 'mlflow.db'}"
    local = address.startswith("sqlite:")
    _knock(address, timeout_seconds)
    if local:
        Path(address.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    _quieten()
    from mlflow import MlflowClient

    with _translated(), _impatient(timeout_seconds):
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        client.search_experiments(max_results=1)
    return Registry(client, address, (home.root / "mlartifacts").as_uri() if local else None)


def _knock(address: str, timeout_seconds: float) -> None:
    """Opens and closes a connection to the server, if it is one: MLflow's own retries take minutes."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=timeout_seconds).close()
    except OSError as exc:
        raise RegistryUnavailable(
            f"Nothing answers at {parts.hostname}:{port}, where {TRACKING_URI} says that MLflow is.",
            next_step=f"Start MLflow or correct {TRACKING_URI}; unset it to use SQLite under SLUICE_HOME.",
        ) from exc


def _quieten() -> None:
    """Turns off MLflow's reports to its makers and its chatter, before its first import in this process."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # Logging is configured at MLflow's import, so that import comes first.
    import mlflow  # noqa: F401

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextlib.contextmanager
def _impatient(timeout_seconds: float) -> Iterator[None]:
    """Makes MLflow ask once and wait no longer than this, for the block."""
    with _variables(
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_HTTP_REQUEST_TIMEOUT=str(max(1, round(timeout_seconds)))
    ):
        yield


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    with _variables(MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false"):
        yield


@contextlib.contextmanager
def _variables(**values: str) -> Iterator[None]:
    """Sets MLflow's own variables for the block: it has no other way to be told."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _translated(what: str = "what was asked for") -> Iterator[None]:
    """Turns MLflow's, the database's and the network's errors into ours."""
    import requests
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as exc:
        if _is_missing(exc):
            raise VersionMissing(
                f"The registry does not know {what}.", next_step="See what there is: sluice model list"
            ) from exc
        if exc.error_code in _UNAUTHORISED or " 401" in str(exc) or " 403" in str(exc):
            raise RegistryUnauthorised(
                "MLflow refuses these credentials.",
                next_step="Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and …_PASSWORD.",
            ) from exc
        raise RegistryUnavailable(
            f"MLflow failed ({exc.error_code}).",
            next_step=f"Read MLflow's log; check the store that {TRACKING_URI} names, then try again.",
        ) from exc
    except (requests.RequestException, sqlalchemy.exc.SQLAlchemyError, OSError) as exc:
        raise RegistryUnavailable(
            f"MLflow's store cannot be reached, read or written ({type(exc).__name__}).",
            next_step=f"Check the disk and the server that {TRACKING_URI} names, then try again.",
        ) from exc


def _is_missing(error: Any) -> bool:
    return error.error_code in _MISSING or (
        error.error_code == "INVALID_PARAMETER_VALUE" and "alias" in str(error) and "not found" in str(error)
    )


def _version(found: Any, aliases: Sequence[str] | None = None) -> ModelVersion:
    tags = dict(found.tags)
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        # A version without our tags was made by another hand: no gate has accepted it.
        standing=Standing(tags.get(STANDING, Standing.PENDING.value)),
        reasons=tuple(json.loads(tags.get(REASONS, "[]"))),
        aliases=tuple(sorted(found.aliases if aliases is None else aliases)),
        bundle_digest=tags.get(BUNDLE_DIGEST, ""),
        run_id=found.run_id or "",
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        tags={
            key.removeprefix(PREFIX): value
            for key, value in tags.items()
            if key.startswith(PREFIX) and key not in _RESERVED
        },
    )


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{name}": value for name, value in tags.items()}


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
