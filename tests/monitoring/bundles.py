"""Bundles with a reference of the size and the shape that drift is measured on, made without training.

The graph in them is never opened here; everything else is as training writes it, and is verified by `load`.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.bundle import CONTRACT, MODEL, PARITY, REFERENCE, SCORE_PREFIX, BundleContract, Lineage, Parity
from contracts.features import NUMERIC_FEATURES, NUMERIC_NAMES, SCHEMA_DIGEST
from contracts.tensors import PREDICTOR_INPUTS, PREDICTOR_OUTPUTS, SPAM_DETECTOR, Tensor
from kit.bundle import Bundle, load, rendered, sealed
from kit.files import sha256_of

ROWS = 900
GRAPH = b"not opened here"
FLOWER = "iris"
FLOWERS = ("setosa", "versicolor", "virginica")


def mail_table(rows: int = ROWS, seed: int = 1) -> pa.Table:
    """Returns a reference of mails: scores that mean what they say, numbers that go with the label."""
    random = np.random.default_rng(seed)
    score = np.clip(random.beta(0.06, 0.12, rows), 1e-6, 1 - 1e-6)
    label = (random.random(rows) < score).astype(np.int64)
    columns: dict[str, Any] = {"id": [f"row-{at}" for at in range(rows)], "label": label}
    columns |= {feature.name: _number(feature, label, random) for feature in NUMERIC_FEATURES}
    columns["text_token_count"] = np.round(random.lognormal(5, 1, rows))
    columns["text_unique_share"] = random.beta(8, 4, rows)
    columns |= _scores(("ham", "spam"), np.stack((1 - score, score), axis=1))
    return pa.table(columns)


def mail_bundle(folder: Path, table: pa.Table | None = None, **changed: Any) -> Bundle:
    """Returns a bundle with the contract of `spam-detector` in `folder`."""
    values: dict[str, Any] = {
        "workload": SPAM_DETECTOR,
        "inputs": PREDICTOR_INPUTS,
        "outputs": PREDICTOR_OUTPUTS,
        "classes": ("ham", "spam"),
        "schema_digest": SCHEMA_DIGEST,
        "threshold": 0.5,
        "feature_names": NUMERIC_NAMES,
    }
    return _bundle(folder, mail_table() if table is None else table, values | changed)


def flower_bundle(folder: Path, rows: int = 60) -> Bundle:
    """Returns a bundle with the contract of `iris`: three classes, no threshold, numbers without families."""
    random = np.random.default_rng(3)
    label = np.arange(rows) % 3
    columns: dict[str, Any] = {"id": [f"flower-{at}" for at in range(rows)], "label": label}
    for name in ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm"):
        columns[name] = random.normal(label * 1.5 + 2, 0.5).astype(np.float32)
    weights = np.exp(3 * np.eye(3)[label] + random.normal(0, 1, (rows, 3)))
    columns |= _scores(FLOWERS, weights / weights.sum(axis=1, keepdims=True))
    return _bundle(
        folder,
        pa.table(columns),
        {
            "workload": FLOWER,
            "inputs": (Tensor(name="features", datatype="FP32", shape=(4,)),),
            "outputs": PREDICTOR_OUTPUTS,
            "classes": FLOWERS,
            "schema_digest": "0" * 64,
            "threshold": None,
            "feature_names": ("a", "b", "c", "d"),
        },
    )


def _number(feature: Any, label: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
    rows = len(label)
    if feature.dtype == "flag":
        values = (random.random(rows) < 0.1 + 0.2 * label).astype(float)
    elif feature.dtype == "share":
        values = np.where(random.random(rows) < 0.4, feature.default, random.beta(2, 3 + label, rows))
    else:
        values = np.round(random.lognormal(1 + 0.5 * label, 1, rows) * (random.random(rows) < 0.7))
    return np.asarray(np.clip(values, feature.low, feature.high), dtype=np.float32)


def _scores(classes: tuple[str, ...], scores: NDArray[np.float64]) -> dict[str, Any]:
    return {f"{SCORE_PREFIX}{name}": scores[:, at].astype(np.float32) for at, name in enumerate(classes)}


def _bundle(folder: Path, table: pa.Table, values: dict[str, Any]) -> Bundle:
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(GRAPH)
    pq.write_table(table, folder / REFERENCE)
    (folder / PARITY).write_text(_parity().model_dump_json(), encoding="utf-8")
    contract = BundleContract(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        lineage=Lineage(
            data_fingerprint="sha256:made",
            split_seed=1,
            schema_digest=values["schema_digest"],
            git_commit="unknown",
            parameters={},
            libraries={},
        ),
        files={name: sha256_of(folder / name) for name in (MODEL, REFERENCE, PARITY)},
        **({"metrics": {}} | values),
    )
    (folder / CONTRACT).write_text(rendered(sealed(contract)), encoding="utf-8")
    return load(folder)


def _parity() -> Parity:
    return Parity(
        model_sha256=hashlib.sha256(GRAPH).hexdigest(),
        rows=1,
        edge_rows=0,
        tolerance=1e-6,
        max_probability_difference=0,
        mean_probability_difference=0,
        ties=0,
        max_single_row_difference=0,
        single_rows=1,
        max_feature_difference=None,
        estimator_seconds_per_row=1,
        onnx_seconds_per_row=1,
        onnx_batch_seconds_per_row=1,
        batch_rows=1,
        onnxruntime="none",
    )
