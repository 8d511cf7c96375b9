"""What training does with MLflow: tracks runs, registers bundles, writes down what the gate said.

A model version is made in the last step of all, from a bundle that is whole on disk.
records/model_registry.py holds the connection and what every other process does with versions.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kit.home import Home
from records.model_registry import (
    BUNDLE_DIGEST,
    PREFIX,
    REASONS,
    RUN,
    STANDING,
    ModelRegistry,
    connected,
    translated,
)
from records.model_versions import ModelVersion, NotEligible, RunState, Standing

_PARENT: Final = "mlflow.parentRunId"
_BATCH: Final = 100
"""Parameters, and tags, that MLflow takes in one request."""
_METRICS_BATCH: Final = 1000


class Registry(ModelRegistry):
    """An open connection to MLflow that may write; make it with `opened`."""

    # Runs.

    def begin_run(
        self, experiment: str, name: str, *, run: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """Returns the id of the tracked run of pipeline run `run`: the one there is, or a new one."""
        with translated():
            experiment_id = self._experiment(experiment)
            found = self._found(experiment_id, run)
            if found is not None:
                return found
            known = {**_prefixed(tags or {}), RUN: run, f"{PREFIX}kind": "pipeline"}
            return str(self._client.create_run(experiment_id, run_name=name, tags=known).info.run_id)

    def find_run(self, experiment: str, run: str) -> str | None:
        """Returns the id of the tracked run of pipeline run `run`, or None if nothing tracked it."""
        with translated():
            known = self._client.get_experiment_by_name(experiment)
            return None if known is None else self._found(known.experiment_id, run)

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
        with translated():
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
        with translated():
            for batch in _batches(figures, _METRICS_BATCH):
                self._client.log_batch(run_id, metrics=batch)
            for batch in _batches(params, _BATCH):
                self._client.log_batch(run_id, params=batch)
            for batch in _batches(marks, _BATCH):
                self._client.log_batch(run_id, tags=batch)

    def log_files(self, run_id: str, folder: Path, name: str) -> None:
        """Keeps every file of `folder` with a run, under the folder `name`."""
        with translated():
            self._client.log_artifacts(run_id, str(folder), artifact_path=name)

    def end_run(self, run_id: str, state: RunState) -> None:
        """Marks a run as ended."""
        with translated():
            self._client.set_terminated(run_id, status=state.value)

    def trials(self, parent: str) -> list[dict[str, Any]]:
        """Returns name, parameters, metrics and state of each run nested under `parent`, oldest first."""
        with translated():
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
        with translated():
            return dict(self._client.get_run(run_id).data.metrics)

    def run_state(self, run_id: str) -> str:
        """Returns how far a run is: a `RunState`, or MLflow's word for one that has not ended."""
        with translated():
            return str(self._client.get_run(run_id).info.status)

    def run_tags(self, run_id: str) -> dict[str, str]:
        """Returns our tags of a run, without the prefix."""
        with translated():
            tags = self._client.get_run(run_id).data.tags
        return {key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)}

    def run_link(self, run_id: str) -> str:
        """Returns where a person looks at a run: a page of the server, or the command that starts one."""
        if not self.uri.startswith("http"):
            return f"mlflow server --backend-store-uri {self.uri}  (run {run_id})"
        with translated():
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

        with translated():
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
        with translated():
            self._client.set_model_version_tag(name, version, REASONS, json.dumps(list(reasons)))
            self._client.set_model_version_tag(name, version, STANDING, standing.value)
            if not accepted:
                for alias in before.aliases:
                    self._client.delete_registered_model_alias(name, alias)
        return self.version(name, version)

    def _found(self, experiment_id: str, run: str) -> str | None:
        wanted = f"tags.`{RUN}` = '{run}' and tags.`{PREFIX}kind` = 'pipeline'"
        found = self._client.search_runs([experiment_id], filter_string=wanted)
        return str(found[0].info.run_id) if found else None

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
    return Registry(*connected(home, timeout_seconds=timeout_seconds, uri=uri))


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{name}": value for name, value in tags.items()}


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
