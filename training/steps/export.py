"""Export: one ONNX graph, proven equal to the fitted estimator, in a bundle that never changes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from contracts.bundle import BundleContract
from training import bundle, snapshot, workloads
from training.certificate import certify
from training.export import export
from training.lineage import lineage
from training.reference import reference
from training.search import read_result
from training.steps import evaluate, fit
from training.steps.features import ROWS
from training.steps.step import Context, Figures, Step

BUNDLE: Final = "bundle"


class Export(Step):
    """Exports the model, certifies the export on every row and on edge rows, and writes the bundle."""

    name: ClassVar[str] = "export"

    seed: int

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes the bundle; raises `ExportRefused` or `ParityRefused` with the reasons."""
        workload = workloads.find(self.workload)
        dataset = snapshot.read(inputs["features"] / ROWS)
        featuriser, fitted = workload.estimator.load(inputs["fit"] / fit.MODEL)
        parameters = read_result(inputs["fit"] / fit.SEARCH, workload).parameters
        evaluation = evaluate.read(inputs["evaluate"])
        context.tell("graph")
        model = export(workload, featuriser, fitted)
        context.tell("certificate")
        parity = certify(model, featuriser, fitted, dataset.rows, workload.edge_inputs())
        contract = workload.contract
        written = bundle.write(
            output / BUNDLE,
            BundleContract(
                workload=self.workload,
                created_at=datetime.now(UTC),
                inputs=contract.inputs,
                outputs=contract.outputs,
                classes=contract.classes,
                schema_digest=contract.schema_digest,
                threshold=None if evaluation.threshold is None else evaluation.threshold.value,
                feature_names=featuriser.feature_names,
                metrics=evaluate.metrics(evaluation),
                lineage=lineage(
                    contract,
                    dataset,
                    split_seed=self.seed,
                    parameters=parameters,
                    run_ids={"pipeline": context.run},
                ),
            ),
            model=model,
            reference=reference(contract, dataset, dataset.split(self.seed).validation, featuriser, model),
            parity=parity,
            native=fitted.save_native,
        )
        return {
            "largest difference": f"{parity.max_probability_difference:.1e}",
            "µs a row": round(1e6 * parity.onnx_seconds_per_row),
            "times faster": round(parity.speedup, 1),
            "bytes": written.size_bytes,
        }
