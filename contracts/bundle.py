"""The bundle: what one trained model is on disk, in the registry, and for whoever serves it.

A bundle is a folder with these files, and nothing else; `native/` is there if the estimator has a format of
its own. Training writes it once and serving reads it; docs/bundle.md explains each part.

The label rule: `label` is the class of the largest probability, the first of them at a tie. The threshold is
not in the graph: whoever decides by it compares the last class' probability with it, and equal is reached.
"""

from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from contracts.tensors import Tensor

MODEL: Final = "model.onnx"
"""One ONNX graph from the contract's inputs to its outputs."""
CONTRACT: Final = "contract.json"
"""`BundleContract` as JSON: what the model takes and gives, where it comes from, and a hash of each file."""
REFERENCE: Final = "reference.parquet"
"""Inputs and scores of the validation split: what drift is measured against."""
PARITY: Final = "parity.json"
"""`Parity` as JSON: the proof that the graph answers as the fitted estimator does."""
NATIVE: Final = "native"
"""The folder of the estimator's own format, for explanations; a bundle may have none."""
NATIVE_MODEL: Final = "native/model.ubj"
"""XGBoost's own format."""
NATIVE_FEATURES: Final = "native/features.onnx"
"""The part of the graph that makes the feature matrix: what explanations explain."""

TERM_PREFIX: Final = "term:"
"""Of feature names that are terms of a text: `term:<tokens with single spaces between>`."""

REQUIRED_FILES: Final = (MODEL, CONTRACT, REFERENCE, PARITY)

FORMAT_VERSION: Final = 1
"""Raise it when a reader of the former form would misread the new one."""

SCORE_PREFIX: Final = "probability_"
"""Of the columns of the reference that hold scores: one for each class, `probability_<class>`."""

TEXT_PREFIX: Final = "text_"
"""Of the columns of the reference that hold facts of a text: `text_<name>`, named as in `contracts.facts`."""

_Digest = Field(pattern=r"^[0-9a-f]{64}$")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lineage(_Document):
    """Everything that a model comes from; the same lineage makes the same model."""

    data_fingerprint: str
    """Order-independent hash of the data."""
    split_seed: int
    schema_digest: str
    """The feature schema version."""
    git_commit: str
    """Commit of the code, with `-dirty` if files differed from it; `unknown` outside a repository."""
    parameters: dict[str, JsonValue]
    libraries: dict[str, str]
    """Version of each library that has a say in the model, by package name."""
    run_ids: dict[str, str] = Field(default_factory=dict)
    """Ids of the runs that made it, by what ran (`pipeline`, `mlflow`, …)."""


class BundleContract(_Document):
    """What `contract.json` holds."""

    format_version: int = FORMAT_VERSION
    workload: str
    created_at: datetime
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    classes: tuple[str, ...] = Field(min_length=2)
    """In the order of the columns of `probabilities`."""
    schema_digest: str
    threshold: float | None = Field(ge=0, le=1)
    """The last class is the verdict from this probability on; None where the largest probability decides."""
    feature_names: tuple[str, ...]
    """The real names of the columns that the trees see as f0, f1 and so on."""
    metrics: dict[str, float]
    lineage: Lineage
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of every other file, by path inside the bundle."""
    own_digest: str = ""
    """SHA-256 of this very document with this field empty: a change of the contract itself shows by it."""

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms among the features, without their prefix; a model that reads no text has none."""
        names = (name for name in self.feature_names if name.startswith(TERM_PREFIX))
        return tuple(name.removeprefix(TERM_PREFIX) for name in names)


class Parity(_Document):
    """What `parity.json` holds: the graph against the fitted estimator, over all rows and edge rows.

    Times are of one row at a time, the median over the rows that were timed.
    """

    format_version: int = FORMAT_VERSION
    model_sha256: str = _Digest
    """Of the graph that was compared."""
    rows: int = Field(ge=0)
    edge_rows: int = Field(ge=0)
    tolerance: float = Field(gt=0)
    """Largest difference of a probability that is accepted."""
    max_probability_difference: float = Field(ge=0)
    mean_probability_difference: float = Field(ge=0)
    ties: int = Field(ge=0)
    """Rows whose two largest probabilities lie within the tolerance: there either class is a right label."""
    max_single_row_difference: float = Field(ge=0)
    """Largest difference between a row's probabilities in a batch and alone."""
    single_rows: int = Field(ge=0)
    """Rows that were also asked alone."""
    max_feature_difference: float | None = Field(ge=0)
    """Of the feature matrix, exported against the library it was fitted with; of values above 1 the share.
    None where only one library computes it."""
    estimator_seconds_per_row: float = Field(gt=0)
    onnx_seconds_per_row: float = Field(gt=0)
    onnx_batch_seconds_per_row: float = Field(gt=0)
    """In batches of `batch_rows`."""
    batch_rows: int = Field(ge=1)
    onnxruntime: str
    """The version of the runtime that was asked."""

    @property
    def speedup(self) -> float:
        """How many times faster the graph answers one row than the estimator."""
        return self.estimator_seconds_per_row / self.onnx_seconds_per_row
