"""Register: the bundle becomes a model version, which no gate has judged yet."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from contracts.predictions import FOLDER
from kit import bundle
from kit.files import write_text
from training import registry
from training.settings import TrainingSettings
from training.steps import export
from training.steps.step import Context, Figures, Step

VERSION: Final = "version.json"


class Register(Step):
    """Puts everything that is known of the model into the registry, and makes the version last."""

    name: ClassVar[str] = "register"
    reusable: ClassVar[bool] = False

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes version.json."""
        made = bundle.load(inputs["export"] / export.BUNDLE)
        settings = TrainingSettings.load()
        tracking = registry.opened(context.home, timeout_seconds=settings.registry_timeout_seconds)
        run_id = tracking.begin_run(self.workload, context.run, run=context.run)
        lineage = made.contract.lineage
        tracking.log(
            run_id,
            parameters=lineage.parameters,
            metrics=made.contract.metrics,
            tags={
                "data_fingerprint": lineage.data_fingerprint,
                "schema_digest": lineage.schema_digest,
                "git_commit": lineage.git_commit,
            },
        )
        tracking.log_files(run_id, inputs["evaluate"], FOLDER)
        version = tracking.register(
            self.workload,
            made.folder,
            digest=made.digest,
            run_id=run_id,
            tags={
                "data_fingerprint": lineage.data_fingerprint,
                "schema_digest": lineage.schema_digest,
                "git_commit": lineage.git_commit,
                "split_seed": str(lineage.split_seed),
            },
        )
        told = {"name": version.name, "version": version.version, "mlflow_run_id": run_id}
        write_text(output / VERSION, json.dumps(told, indent=1) + "\n")
        return {"version": version.version}


def read(folder: Path) -> str:
    """Returns the version in the output of this step."""
    return str(json.loads((folder / VERSION).read_text(encoding="utf-8"))["version"])


def mlflow_run(folder: Path) -> str:
    """Returns the id of the MLflow run that made the version."""
    return str(json.loads((folder / VERSION).read_text(encoding="utf-8"))["mlflow_run_id"])
