"""Small bundles of both kinds, made in a second by the platform's own estimators.

`flower_bundle(folder, seed)` takes numbers only; `mail_bundle(folder, seed)` has exactly the contract of
spam-detector and brings `native/`. Another seed makes another model of the same contract.

`tests/serving/conftest.py` has them as fixtures, two of each: `flowers_1`, `flowers_2`, `mails_1`, `mails_2`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from contracts.bundle import BundleContract, Lineage
from contracts.features import NUMERIC_FEATURES
from kit.bundle import Bundle
from training.bundle import write
from training.certificate import certify
from training.export import export
from training.reference import reference
from training.workload import Dataset, Parameters, Rows, Splits, Workload
from training.workloads import find

HAM_WORDS = (
    "meeting", "agenda", "report", "draft", "patch", "review", "thanks", "attached", "minutes", "lunch",
    "server", "kernel", "list",
)  # fmt: skip
SPAM_WORDS = (
    "winner", "prize", "claim", "offer", "free", "pills", "casino", "refund", "urgent", "account", "verify",
    "click", "_money",
)  # fmt: skip
BOTH_WORDS = (
    "the", "a", "to", "you", "and", "for", "_number", "_url", "_email", "_date", "hello", "please", "today",
    "message",
)  # fmt: skip
FLOWER_PARAMETERS: Parameters = {
    "n_estimators": 12, "max_depth": 3, "min_samples_leaf": 1, "max_features": 2,
}  # fmt: skip
MAIL_PARAMETERS: Parameters = {
    "terms": "frequency", "min_df": 2, "ngrams": 1, "n_estimators": 25, "learning_rate": 0.3, "max_depth": 3,
    "nthread": 1,
}  # fmt: skip
_FLOWERS = 60
_MAILS = 240


def flower_bundle(folder: Path, seed: int = 1) -> Bundle:
    """Returns a bundle of `iris` in `folder`: three classes by four numbers, a forest, no native form."""
    workload = find("iris")
    random = np.random.default_rng(seed)
    labels = np.arange(_FLOWERS) % 3
    matrix = random.normal(labels[:, None] * 1.5 + 2, 0.8, (_FLOWERS, 4)).astype(np.float32)
    data = _dataset({"features": matrix}, labels)
    return made(folder, workload, data, FLOWER_PARAMETERS, seed=seed, threshold=None)


def mail_bundle(folder: Path, seed: int = 1, *, threshold: float = 0.5) -> Bundle:
    """Returns a bundle with the contract of `spam-detector` in `folder`; it knows a few dozen words."""
    workload = find("spam-detector")
    random = np.random.default_rng(seed)
    labels = np.arange(_MAILS) % 2
    texts = np.empty((_MAILS, 1), dtype=object)
    for at, label in enumerate(labels):
        typical, other = (SPAM_WORDS, HAM_WORDS) if label else (HAM_WORDS, SPAM_WORDS)
        words = [*random.choice(typical, 6), *random.choice(other, 3), *random.choice(BOTH_WORDS, 8)]
        texts[at, 0] = " ".join(random.permutation(words).tolist())
    numbers = np.stack([_numbers(random, int(label)) for label in labels])
    data = _dataset({"text": texts, "numeric": numbers}, labels)
    return made(folder, workload, data, MAIL_PARAMETERS, seed=seed, threshold=threshold)


def made(
    folder: Path,
    workload: Workload,
    data: Dataset,
    parameters: Parameters,
    *,
    seed: int,
    threshold: float | None,
) -> Bundle:
    """Returns a bundle in `folder`: fitted on the training rows, its reference of the validation rows."""
    train, validation, _ = data.split(seed)
    rows = data.rows.take(train)
    featuriser = workload.estimator.fit_featuriser(parameters, rows)
    fitted = workload.estimator.fit(parameters, featuriser.matrix(rows.inputs), rows.labels, seed=seed)
    model = export(workload, featuriser, fitted)
    edges = {name: values[:8] for name, values in workload.edge_inputs().items()}
    contract = BundleContract(
        workload=workload.contract.name,
        created_at=datetime(2026, 1, seed, tzinfo=UTC),
        inputs=workload.contract.inputs,
        outputs=workload.contract.outputs,
        classes=workload.contract.classes,
        schema_digest=workload.contract.schema_digest,
        threshold=threshold,
        feature_names=featuriser.feature_names,
        metrics={"f1": 0.9},
        lineage=Lineage(
            data_fingerprint="sha256:made",
            split_seed=seed,
            schema_digest=workload.contract.schema_digest,
            git_commit="unknown",
            parameters=dict(parameters),
            libraries={},
        ),
    )
    return write(
        folder,
        contract,
        model=model,
        reference=reference(workload.contract, data, validation, featuriser, model),
        parity=certify(model, featuriser, fitted, rows, edges),
        native=fitted.save_native,
    )


def _dataset(inputs: Mapping[str, Any], labels: Any) -> Dataset:
    """Returns a data set of which every row is used for everything."""
    every = np.arange(len(labels))
    rows = Rows(inputs, labels.astype(np.int64), np.array([f"row-{at}" for at in every]))
    return Dataset(rows, "sha256:made", split=lambda _seed: Splits(every, every, every))


def _numbers(random: np.random.Generator, label: int) -> Any:
    values = []
    for feature in NUMERIC_FEATURES:
        spread = min(feature.high, 10.0)
        drawn = random.beta(2 + label, 3) * spread
        values.append(round(drawn) if feature.dtype in ("count", "flag") else drawn)
    return np.array(values, dtype=np.float32)
