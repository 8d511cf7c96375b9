"""The end of a run on a cluster: told by the last task, which runs whatever happened before.

A failing task leaves its sentence with the tracked run (a tag), because the task that closes sees no outputs
of the others. If staging points at the run's version in the end, a retry made the failure good. A task that
was killed leaves nothing, and the run is closed as such.
"""

import json
from typing import Final
from uuid import UUID

from contracts.environments import Environment
from kit.errors import ExitCode, OperationalError, SluiceError
from kit.home import home
from kit.terminal import say
from pipelines.journal import Failure
from pipelines.settings import PipelinesSettings
from records.model_versions import RunState, Standing
from records.tables.experiment_runs import RunStatus, Trigger
from training import registry, run_records
from training.registry import Registry
from training.settings import TrainingSettings

FAILURE: Final = "failure"
OUTCOME: Final = "outcome"


class NotClosed(OperationalError):
    """A run ended, and the records or MLflow could not be told."""

    code = "run_not_closed"
    title = "The end of the run is not written down"


def open_run(
    workload: str,
    run: str,
    *,
    trigger: str = Trigger.MANUAL,
    trigger_reason: str = "",
    announced: str = "",
) -> None:
    """Writes that a run on a cluster has begun, and stops it now if the registry does not answer.

    A run that was `announced` by whoever submitted it takes over that row of the records.

    Raises:
        RegistryUnavailable: MLflow does not answer.
        RecordsUnavailable: the records do not.
    """
    tracking = _opened()
    tracking.begin_run(workload, run, run=run, tags={"runner": "cluster", "trigger": trigger})
    run_records.begin(
        run,
        workload,
        {"runner": "cluster"},
        trigger=Trigger(trigger),
        trigger_reason=trigger_reason or None,
        announced=UUID(announced) if announced else None,
    )


def note_failure(workload: str, run: str, failure: Failure) -> None:
    """Leaves why a task failed with the tracked run."""
    tracking = _opened()
    run_id = tracking.begin_run(workload, run, run=run)
    tracking.log(run_id, tags={FAILURE: failure.model_dump_json()})


def close_run(workload: str) -> None:
    """Writes how the run that this task is part of ended: accepted, refused or failed, with reasons.

    A run that is closed stays as it was closed: the task may be tried again.

    Raises:
        RegistryUnavailable: MLflow, which alone knows how the run ended, does not answer.
        NotClosed: the end is known, and could not be written everywhere; the message begins with it.
    """
    run = PipelinesSettings.load().run_id
    tracking = _opened()
    run_id = tracking.begin_run(workload, run, run=run)
    former = tracking.run_tags(run_id).get(OUTCOME)
    if former is not None:
        say(f"Run {run} of {workload} was closed before: {former}.")
        return
    outcome, state = _outcome(tracking, workload, run_id)
    told = f"Run {run} of {workload}: {outcome.status.value}. {' '.join(outcome.reasons)}".strip()
    say(told)
    errors: list[SluiceError] = []
    try:
        _record(run, workload, outcome)
    except SluiceError as error:
        errors.append(error)
    try:
        if not errors:  # without the tag, another try comes back to the records
            tracking.log(run_id, tags={OUTCOME: outcome.status.value})
        tracking.end_run(run_id, state)
    except SluiceError as error:
        errors.append(error)
    if errors:
        raise NotClosed(
            f"{told} This could not be written down: {' '.join(error.message for error in errors)}",
            next_step=errors[0].next_step,
        ) from errors[0]


def _record(run: str, workload: str, outcome: run_records.Outcome) -> None:
    """Writes the end into the records; a former try may have done so."""
    try:
        run_records.finish(run, workload, outcome)
    except run_records.RunUnknown:
        latest = run_records.recent(workload=workload, limit=1000)
        if not any(row.parameters.get(run_records.RUN) == run for row in latest):
            raise


def _outcome(tracking: Registry, workload: str, run_id: str) -> tuple[run_records.Outcome, RunState]:
    made = next((version for version in tracking.versions(workload) if version.run_id == run_id), None)
    told = tracking.run_tags(run_id).get(FAILURE, "")
    failure = Failure.model_validate(json.loads(told)) if told else None
    staged = made is not None and Environment.STAGING.value in made.aliases
    reasons: tuple[str, ...] = ()
    if made is not None and made.standing is Standing.ELIGIBLE and staged:
        status = RunStatus.ACCEPTED
    elif failure is not None:
        refused = failure.exit_code == ExitCode.REFUSED
        status = RunStatus.REFUSED if refused else RunStatus.FAILED
        reasons = failure.reasons or (f"{failure.title}: {failure.message}",)
    else:
        status = RunStatus.FAILED
        reasons = ("A task ended without a word: it was stopped, ran out of memory or out of time.",)
    outcome = run_records.Outcome(
        status=status,
        figures=tracking.run_figures(run_id),
        reasons=[reason[:2000] for reason in reasons],
        mlflow_run_id=run_id,
        model_version=made.version if made else None,
        data_fingerprint=made.tags.get("data_fingerprint", "")[-64:] or None if made else None,
        schema_digest=made.tags.get("schema_digest") if made else None,
    )
    return outcome, RunState.FAILED if status is RunStatus.FAILED else RunState.FINISHED


def _opened() -> Registry:
    return registry.opened(home(), timeout_seconds=TrainingSettings.load().registry_timeout_seconds)
