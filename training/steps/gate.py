"""Gate: the version is accepted, or refused with reasons; a refusal fails the pipeline."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from contracts.environments import Environment
from kit import bundle
from kit.bundle import Bundle
from kit.errors import Refused
from kit.files import write_text
from kit.onnx_function import OnnxFunction
from records.model_versions import ModelVersion, VersionMissing
from training import gate, registry, snapshot, workloads
from training.evaluation import predictions
from training.evaluation.predictions import Predictions
from training.registry import Registry
from training.report import card
from training.settings import TrainingSettings
from training.steps import evaluate, export, register
from training.steps.features import ROWS
from training.steps.step import Context, Figures, Step
from training.steps.validate import CHECKS
from training.workload import Dataset, Indices, Mask

DECISION: Final = "decision.json"
REPORT: Final = "report"
_TRAINED_ON: Final = f"evaluation/{evaluate.TRAINED_ON}"
"""As it is kept with the tracked run of a version: see `Register`."""


class VersionRefused(Refused):
    """The gate refused the model version; it is registered, and can never serve."""

    code = "version_refused"
    title = "Model version refused"


class Gate(Step):
    """Decides on everything that is known of the version, and writes the answer into the registry."""

    name: ClassVar[str] = "gate"
    reusable: ClassVar[bool] = False

    seed: int

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes decision.json and the whole model card; raises `VersionRefused` with the reasons."""
        workload = workloads.find(self.workload)
        settings = TrainingSettings.load()
        tracking = registry.opened(context.home, timeout_seconds=settings.registry_timeout_seconds)
        candidate = bundle.load(inputs["export"] / export.BUNDLE)
        answers = predictions.read(inputs["evaluate"] / evaluate.PREDICTIONS)
        checks = json.loads((inputs["features"] / CHECKS).read_text(encoding="utf-8"))
        parity = candidate.parity
        evidence = gate.Evidence(
            evaluation=evaluate.read(inputs["evaluate"]),
            predictions=answers,
            production=_production(tracking, candidate, answers, inputs["features"] / ROWS),
            certificate=gate.Finding(
                passed=parity.max_probability_difference <= parity.tolerance,
                sentence=f"The graph answers as the estimator on {parity.rows:,} rows and {parity.edge_rows} "
                f"edge rows; the largest difference is {parity.max_probability_difference:.1e}.",
            ),
            data_validation=gate.Finding(passed=True, sentence=f"The data passed {len(checks)} checks."),
            expected_schema_digest=workload.contract.schema_digest,
            bundle_schema_digest=candidate.contract.schema_digest,
            seconds_per_row=parity.onnx_seconds_per_row,
            bundle_bytes=candidate.size_bytes,
        )
        decision = gate.decide(evidence, gate.limits_of(settings, workload.floors))
        write_text(output / DECISION, decision.model_dump_json(indent=1) + "\n")
        # The card of the evaluation knew neither lineage nor verdict; this one is the whole story.
        card.write(card.Card(evidence.evaluation, candidate.contract.lineage, decision), output / REPORT)
        tracking.log_files(register.mlflow_run(inputs["register"]), output / REPORT, "model-card")
        version = register.read(inputs["register"])
        sentences = [reason.sentence for reason in decision.reasons]
        tracking.judge(
            self.workload,
            version,
            accepted=decision.accepted,
            reasons=sentences if decision.accepted else decision.refusals,
        )
        if not decision.accepted:
            raise VersionRefused(
                f"Version {version} is registered with these reasons, and no environment can point at it.",
                reasons=decision.refusals,
                next_step="Search longer, mend the data or the features, then run the pipeline again.",
            )
        return {"accepted": version, "rules kept": len(decision.reasons)}


def _production(
    tracking: Registry, candidate: Bundle, answers: Predictions, rows: Path
) -> gate.Production | None:
    """Returns what production's model says of the very test rows, or None without one."""
    serving = tracking.pointed(candidate.contract.workload, Environment.PRODUCTION)
    if serving is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        fetched = tracking.download(serving.name, serving.version, Path(folder))
        former = bundle.load(fetched, digest=serving.bundle_digest)
        if former.contract.inputs != candidate.contract.inputs:
            return gate.Production(serving.version, None)
        dataset = snapshot.read(rows)
        place = {identity: row for row, identity in enumerate(dataset.rows.ids.tolist())}
        test = _indices(place, answers)
        outputs = OnnxFunction(former.model.read_bytes())(dataset.rows.take(test).inputs)
        learnt = _trained_on(tracking, serving, Path(folder))
    judged = Predictions(
        ids=answers.ids,
        groups=answers.groups,
        labels=answers.labels,
        probabilities=outputs["probabilities"].astype("float64"),
        threshold=former.contract.threshold,
    )
    return gate.Production(
        serving.version, judged, None if learnt is None else _seen(dataset, answers, learnt)
    )


def _trained_on(tracking: Registry, version: ModelVersion, folder: Path) -> set[str] | None:
    """Returns the ids that a version was fitted on; None for one that was registered without them."""
    try:
        kept = tracking.run_file(version.run_id, _TRAINED_ON, folder)
    except VersionMissing:
        return None
    return evaluate.trained_on(kept.parent)


def _seen(dataset: Dataset, answers: Predictions, learnt: set[str]) -> Mask:
    """Returns which test rows are among the rows `learnt`, or are copies of one."""
    groups = dataset.groups or dataset.rows.ids.tolist()
    known = {
        group for group, identity in zip(groups, dataset.rows.ids.tolist(), strict=True) if identity in learnt
    }
    return np.isin(answers.groups, sorted(known)) | np.isin(answers.ids, sorted(learnt))


def _indices(place: Mapping[str, int], answers: Predictions) -> Indices:
    return np.asarray([place[identity] for identity in answers.ids.tolist()], dtype=np.intp)
