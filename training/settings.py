"""Settings of the corpus and of training (prefix `TRAINING_`)."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from kit.settings import Settings, settings_config

WorkloadName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
"""A name for models, folders, addresses and labels alike."""

ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]


class TrainingSettings(Settings):
    """Limits on what a corpus may hold, and the gates it must pass before anything trains on it."""

    owner = "training"
    model_config = settings_config("TRAINING_")

    workloads: dict[WorkloadName, ModuleName] = Field(default={})
    """Workloads of your own, as JSON `{"wine": "wine_workload"}`: each name with its module, which every
    process must be able to import (installed, or on PYTHONPATH). docs/tutorials/bring-your-own-model.md."""

    message_max_bytes: int = Field(default=16 << 20, ge=1024, le=1 << 30)
    """Bytes of one message of the corpus; a larger one goes to quarantine."""

    unpacked_max_bytes: int = Field(default=2 << 30, ge=1024)
    """Bytes that an archive may unpack to; one that holds more is refused."""

    download_max_bytes: int = Field(default=4 << 30, ge=1024)
    """Bytes of a download; a longer one is refused."""

    download_timeout_seconds: float = Field(default=60, gt=0, le=3600)
    """Longest wait for a server to connect or to send its next bytes."""

    download_attempts: int = Field(default=5, ge=1, le=100)
    """Tries of a download that breaks off; each goes on where the last one ended."""

    npm_timeout_seconds: float = Field(default=900, gt=0, le=86_400)
    """Longest run of the npm client."""

    min_messages: int = Field(default=200, ge=1)
    """Fewest messages of a corpus that may be trained on."""

    min_class_share: float = Field(default=0.05, ge=0, le=0.5)
    """Least share of either class."""

    max_empty_text_share: float = Field(default=0.05, ge=0, le=1)
    """Largest share of messages of which no text is left."""

    max_duplicate_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of messages that are copies of another one, exactly or nearly."""

    min_dated_share: float = Field(default=0.8, ge=0, le=1)
    """Least share of messages with a date to believe; without dates there is no sender history."""

    max_quarantined_share: float = Field(default=0.1, ge=0, le=1)
    """Largest share of a source's entries that may be in quarantine."""

    max_shift: float = Field(default=0.25, gt=0)
    """Largest population stability index of any distribution against the last accepted corpus."""

    # Evaluation and its gate.

    threshold_objective: Literal["f1", "false_positive_ceiling"] = "f1"
    """What the threshold between two classes is chosen for, on validation: the largest F1, or the largest
    recall under `threshold_max_false_positive_rate`."""

    threshold_max_false_positive_rate: float = Field(default=0.001, ge=0, lt=1)
    """The ceiling of the objective `false_positive_ceiling`."""

    evaluation_seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=2)
    """Seeds of the grouped splits whose mean is the figure of record."""

    evaluation_processes: int = Field(default=0, ge=0, le=256)
    """Processes that an evaluation of 3,000 rows and more fits its models in, each with a copy of the data;
    0: one for each CPU that it may use, at most four."""

    bootstrap_resamples: int = Field(default=1000, ge=100, le=100_000)
    """Resamples behind each interval on the test rows."""

    gate_metric: Literal["f1", "accuracy", "roc_auc", "pr_auc"] = "f1"
    """What a new model must not be significantly worse in than the one in production."""

    gate_seed_margin: float = Field(default=0.02, ge=0, lt=1)
    """How far below a floor of the mean the figure on the run's own test rows may lie: one split of the
    reference corpus moves F1 by so much. Where the interval of that figure is wider, it decides."""

    gate_min_unseen_rows: int = Field(default=100, ge=10)
    """Production is compared on the test rows that it was not fitted on, if they are at least so many
    independent ones; otherwise on all of them, which favours it."""

    gate_significance: float = Field(default=0.05, gt=0, lt=0.5)
    """A loss against production with a smaller two-sided p-value is refused."""

    gate_max_row_seconds: float = Field(default=0.002, gt=0)
    """Longest time for one row of the exported model on one thread."""

    gate_max_bundle_bytes: int = Field(default=64 << 20, ge=1024)
    """Largest bundle that may be released."""

    # Search and fit, on Ray.

    search_objective: str = "f1"
    """What a search makes best: f1, best_f1, roc_auc or log_loss."""

    search_folds: int = Field(default=3, ge=0, le=20)
    """Trials are judged on the mean over so many grouped folds of the training rows, at least 2, or with 0 on
    the validation rows alone."""

    search_margin: float = Field(default=1, ge=0, le=10)
    """Standard errors over the folds by which the best trial must be ahead of the workload's defaults;
    otherwise the defaults are taken."""

    search_grace_rounds: int = Field(default=100, ge=1, le=100_000)
    """Boosting rounds that every trial may take before it is compared with the others and perhaps stopped."""

    search_reduction: float = Field(default=3, gt=1, le=10)
    """Of the trials that reach a comparison, one in this many goes on."""

    search_stopping: bool = True
    """Stop trials that are far behind the others after as many boosting rounds (ASHA)."""

    worker_retries: int = Field(default=2, ge=0, le=20)
    """How often the work of a Ray process that died is begun again."""

    ray_cpus: int = Field(default=0, ge=0, le=4096)
    """CPUs of the local Ray; 0 means those that this process may use. RAY_ADDRESS names a cluster instead."""

    ray_object_store_bytes: int = Field(default=1 << 30, ge=80 << 20)
    """Shared memory of the local Ray; what does not fit goes to disk."""

    ray_storage: str = ""
    """Where Ray keeps its own state: a folder or address that every node reaches. Empty: beside the run."""

    # Registry.

    registry_timeout_seconds: float = Field(default=5, gt=0, le=300)
    """Longest wait for MLflow to connect, and to give a first sign of life, before anything starts."""

    @field_validator("search_folds")
    @classmethod
    def _one_fold_judges_nothing(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("one fold leaves no rows to fit on: 0, or 2 and more")
        return folds
