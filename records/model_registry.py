"""The model registry as every process sees it: MLflow's versions and aliases behind small functions.

A model version has one of three standings: `pending` (no gate has spoken: also what a crash leaves),
`eligible`, or `refused` with the reasons. Only an eligible one gets an alias; aliases are the environments of
contracts/environments.py. training/registry.py adds what only training does: tracking, registering, judging.
"""

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from contracts.environments import Environment
from kit.home import Home
from records.model_versions import (
    ModelVersion,
    NotEligible,
    RegistryUnauthorised,
    RegistryUnavailable,
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
_RESERVED: Final = frozenset({STANDING, REASONS, BUNDLE_DIGEST, RUN})
_MISSING: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_UNAUTHORISED: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"})


class ModelRegistry:
    """An open connection to MLflow; make it with `opened`."""

    def __init__(self, client: "MlflowClient", uri: str, artifacts: str | None) -> None:
        self._client = client
        self.uri = uri
        self._artifacts = artifacts

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
        with translated():
            self._client.set_registered_model_alias(name, environment.value, version)
        return before.version if before else None

    def pointed(self, name: str, environment: Environment) -> ModelVersion | None:
        """Returns the version that `environment` points at, or None."""
        from mlflow.exceptions import MlflowException

        with translated():
            try:
                found = self._client.get_model_version_by_alias(name, environment.value)
            except MlflowException as exc:
                if is_missing(exc):
                    return None
                raise
        return self.version(name, str(found.version))

    def version(self, name: str, version: str) -> ModelVersion:
        """Returns one version.

        Raises:
            VersionMissing: there is none.
        """
        with translated(f"version {version} of {name}"):
            return as_version(self._client.get_model_version(name, version))

    def versions(self, name: str) -> list[ModelVersion]:
        """Returns every version of a model, newest first; a model that nobody registered has none."""
        found: list[Any] = []
        token: str | None = None
        with translated():
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
        listed = [as_version(item, aliases.get(str(item.version), [])) for item in found]
        return sorted(listed, key=lambda item: int(item.version), reverse=True)

    def names(self) -> list[str]:
        """Returns the names of the registered models."""
        with translated():
            return sorted(model.name for model in self._client.search_registered_models(max_results=1000))

    def download(self, name: str, version: str, folder: Path) -> Path:
        """Returns `folder` with the bundle of a version in it; load it with its digest, which verifies it."""
        import mlflow

        folder.mkdir(parents=True, exist_ok=True)
        with translated(f"version {version} of {name}"), _without_bars():
            place = self._client.get_model_version_download_uri(name, version)
            got = mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=str(folder), tracking_uri=self.uri
            )
        return Path(got)

    def run_file(self, run_id: str, name: str, folder: Path) -> Path:
        """Returns a copy, below `folder`, of the file `name` that was kept with a tracked run.

        Raises:
            VersionMissing: the run, or the file, is not there.
        """
        import mlflow

        parent = name.rpartition("/")[0]
        with translated(f"the file {name} of run {run_id}"), _without_bars():
            kept = {found.path for found in self._client.list_artifacts(run_id, parent or None)}
            if name not in kept:
                raise VersionMissing(
                    f"The tracked run {run_id} keeps no file {name}.",
                    next_step="A version that another hand registered has none; train it with the pipeline.",
                )
            folder.mkdir(parents=True, exist_ok=True)
            got = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=name, dst_path=str(folder), tracking_uri=self.uri
            )
        return Path(got)


def opened(home: Home, *, timeout_seconds: float = 5, uri: str | None = None) -> ModelRegistry:
    """Returns the registry of this machine after asking it for a sign of life.

    `uri` is MLflow's address; None means what MLFLOW_TRACKING_URI says, and without that SQLite and files
    under SLUICE_HOME. The wait is bounded: `timeout_seconds` to connect and the same for an answer.

    Raises:
        RegistryUnavailable: MLflow cannot be reached or does not answer in time.
        RegistryUnauthorised: it refuses the credentials.
    """
    return ModelRegistry(*connected(home, timeout_seconds=timeout_seconds, uri=uri))


def connected(
    home: Home, *, timeout_seconds: float, uri: str | None
) -> tuple["MlflowClient", str, str | None]:
    """Returns MLflow's client, its address, and where artifacts go if that is ours to say.

    Raises as `opened` does.
    """
    address = uri or os.environ.get(TRACKING_URI) or f"sqlite:///{home.root / 'mlflow.db'}"
    local = address.startswith("sqlite:")
    _knock(address, timeout_seconds)
    if local:
        Path(address.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    _quieten()
    from mlflow import MlflowClient

    with translated(), _impatient(timeout_seconds):
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        client.search_experiments(max_results=1)
    return (client, address, (home.root / "mlartifacts").as_uri() if local else None)


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
def translated(what: str = "what was asked for") -> Iterator[None]:
    """Turns MLflow's, the database's and the network's errors into ours."""
    import requests
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as exc:
        if is_missing(exc):
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


def is_missing(error: Any) -> bool:
    """Tells whether MLflow's error means that something is not there."""
    return error.error_code in _MISSING or (
        error.error_code == "INVALID_PARAMETER_VALUE" and "alias" in str(error) and "not found" in str(error)
    )


def as_version(found: Any, aliases: Sequence[str] | None = None) -> ModelVersion:
    """Returns MLflow's version as ours; give `aliases` where a search found it, which leaves them out."""
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
