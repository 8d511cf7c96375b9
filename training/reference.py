"""The reference: what a model was used to when it was made, which drift is measured against.

One row for each validation row: its `id` and `label`, each column of each FP32 input under the contract's
name for it, the data set's further columns, the share of the text that the model knows, and the score of each
class as the exported graph gives it.
"""

from typing import TYPE_CHECKING, Any

from contracts.bundle import SCORE_PREFIX, TEXT_PREFIX
from contracts.facts import KNOWN_SHARE
from kit.onnx_function import OnnxFunction
from training.workload import Dataset, Featuriser, Indices, ModelContract, Reading

if TYPE_CHECKING:
    import pyarrow as pa


def reference(
    contract: ModelContract, dataset: Dataset, validation: Indices, featuriser: Featuriser, model: bytes
) -> "pa.Table":
    """Returns the reference of the exported graph `model` on the rows `validation`."""
    import pyarrow as pa

    rows = dataset.rows.take(validation)
    columns: dict[str, Any] = {"id": rows.ids.tolist(), "label": rows.labels}
    for tensor in contract.inputs:
        if tensor.datatype != "FP32":
            continue
        values = rows.inputs[tensor.name].reshape(len(rows), -1)
        names = contract.input_columns.get(tensor.name) or [
            f"{tensor.name}_{number}" for number in range(values.shape[1])
        ]
        columns |= {name: values[:, number] for number, name in enumerate(names)}
    columns |= {name: values[validation] for name, values in dataset.reference.items()}
    if isinstance(featuriser, Reading):
        columns[f"{TEXT_PREFIX}{KNOWN_SHARE}"] = featuriser.known_shares(rows.inputs)
    scores = OnnxFunction(model)(rows.inputs)["probabilities"]
    for number, name in enumerate(contract.classes):
        columns[f"{SCORE_PREFIX}{name}"] = scores[:, number]
    return pa.table(columns)
