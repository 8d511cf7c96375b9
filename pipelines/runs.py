"""The pipeline runs of this machine, as plain values for a table or for JSON."""

from typing import Any

from training import run_records
from training.run_records import RUN


def recent_runs(*, workload: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """Returns the latest runs, newest first; `seconds` is None while a run is under way.

    Raises:
        RecordsUnavailable: the records do not answer.
        SchemaBehind: there are no tables yet.
    """
    return [
        {
            "run": row.parameters.get(RUN, str(row.id)),
            "workload": row.workload,
            "status": row.status,
            "version": row.model_version,
            "figures": row.figures,
            "reasons": row.reasons,
            "trigger": row.trigger,
            "trigger_reason": row.trigger_reason,
            "parameters": {name: value for name, value in row.parameters.items() if name != RUN},
            "data": row.data_fingerprint,
            "git_commit": row.git_commit,
            "mlflow_run_id": row.mlflow_run_id,
            "started_at": row.started_at.isoformat(timespec="seconds"),
            "seconds": None
            if row.finished_at is None
            else round((row.finished_at - row.started_at).total_seconds(), 1),
        }
        for row in run_records.recent(workload=workload, limit=limit)
    ]
