"""The final fit, on Ray: by Ray Train in W processes for an estimator that fits in shards, else in one task.

    featuriser, fitted = fit(workload, dataset, splits, FitPlan(parameters, seed=7), storage=…, settings=…)

One worker sees the training rows as they are, so the model is the one that `estimator.fit` gives anywhere.
With W, each worker has every W-th row of each class, and XGBoost adds up their histograms: sums differ in the
last bits, and so now and then does a split.
"""

import errno
import pickle
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kit.errors import Bug, OperationalError, SluiceError, UsageError
from kit.ray.session import opened
from training.fit_worker import FITTED, FitWork, fit_shard, train_loop
from training.folds import folds
from training.settings import TrainingSettings
from training.workload import (
    Dataset,
    Featuriser,
    Fitted,
    Parameters,
    ShardedEstimator,
    Splits,
    Workload,
)

RAY_LOG: Final = "ray.log"
_RAY_STATE: Final = "ray-fit"


class FitFailed(OperationalError):
    """The final fit raised an error, or its processes died again and again."""

    code = "fit_failed"
    title = "Fit failed"


class WorkersUnsupported(UsageError):
    """This estimator cannot be fitted by several workers, or Ray has too few CPUs for so many."""

    code = "workers_unsupported"
    title = "So many workers cannot fit it"


@dataclass(frozen=True)
class FitPlan:
    """What one fit is asked for."""

    parameters: Parameters
    seed: int
    workers: int = 1


def fit(
    workload: Workload,
    dataset: Dataset,
    splits: Splits,
    plan: FitPlan,
    *,
    storage: Path,
    settings: TrainingSettings,
) -> tuple[Featuriser, Fitted]:
    """Returns featuriser and estimator fitted on the training rows; the validation rows may stop it early.

    Args:
        workload: Whose estimator is fitted.
        dataset: The test rows are never looked at.
        splits: Of `dataset`.
        plan: Parameters, seed and number of workers.
        storage: Folder for what Ray says; with a cluster of several nodes, set `ray_storage`.
        settings: Of Ray.

    Raises:
        WorkersUnsupported: several workers for an estimator that cannot be fitted in shards, or too few CPUs.
        TooFewRows: a part of the data lacks a class.
        FitFailed: the estimator raised, or the workers died.
        OSError: the disk is full.
        RayUnavailable: Ray did not start or does not answer.
    """
    estimator = workload.estimator
    sharded = isinstance(estimator, ShardedEstimator) and estimator.fits_in_shards
    if plan.workers < 1 or (plan.workers > 1 and not sharded):
        raise WorkersUnsupported(
            f"The estimator of {workload.name} cannot be fitted by {plan.workers} workers.",
            next_step="Ask for one worker.",
        )
    (whole,) = folds(dataset, splits, count=0, seed=plan.seed)
    train, validation = dataset.rows.take(whole.fit), dataset.rows.take(whole.judge)
    featuriser = estimator.fit_featuriser(plan.parameters, train)
    arrays = (
        featuriser.matrix(train.inputs),
        train.labels,
        featuriser.matrix(validation.inputs),
        validation.labels,
    )
    with opened(settings, log=storage / RAY_LOG) as cpus:
        import ray

        if plan.workers > cpus:
            raise WorkersUnsupported(
                f"{plan.workers} workers need as many CPUs, and Ray has {cpus}.",
                next_step="Ask for fewer workers, or set RAY_ADDRESS to a larger cluster.",
            )
        work = FitWork(estimator, dict(plan.parameters), plan.seed, ray.put(arrays))
        if not sharded:
            return featuriser, _fitted_by_task(work, cpus, settings)
        state = storage / _RAY_STATE
        try:
            where = settings.ray_storage or str(state.absolute())
            return featuriser, _fitted_by_train(work, plan.workers, cpus, where, settings)
        finally:
            shutil.rmtree(state, ignore_errors=True)


def _fitted_by_train(
    work: FitWork, workers: int, cpus: int, storage: str, settings: TrainingSettings
) -> Fitted:
    from ray import train
    from ray.train.xgboost import XGBoostTrainer

    class Trainer(XGBoostTrainer):
        """As Ray has it, but Ctrl-C stays an interrupt.

        Ray's own handler would end the process with exit code 0, and stay after the fit.
        """

        def _register_sigint_handler(self, controller: Any) -> None:
            """Leaves the handler that is there."""

    def attempt() -> Fitted:
        trainer = Trainer(
            train_loop,
            train_loop_config={"work": work},
            scaling_config=train.ScalingConfig(
                num_workers=workers, resources_per_worker={"CPU": max(1, cpus // workers)}
            ),
            # Ray Train would also try an error of the estimator again: `_persistent` does not.
            run_config=train.RunConfig(name=f"fit-{uuid.uuid4().hex[:8]}", storage_path=storage),
        )
        result: Any = trainer.fit()
        with result.checkpoint.as_directory() as folder:
            fitted: Fitted = pickle.loads((Path(folder) / FITTED).read_bytes())  # noqa: S301 - written above
            return fitted

    return _persistent(attempt, settings.worker_retries)


def _fitted_by_task(work: FitWork, cpus: int, settings: TrainingSettings) -> Fitted:
    import ray

    task: Any = ray.remote(num_cpus=cpus, max_retries=0)(fit_shard)

    def attempt() -> Fitted:
        fitted: Fitted = ray.get(task.remote(work, 0, 1))
        return fitted

    return _persistent(attempt, settings.worker_retries)


def _persistent(attempt: Callable[[], Fitted], retries: int) -> Fitted:
    """Returns what `attempt` returns, tried again if its process died; an error of the estimator is final."""
    from ray.exceptions import RayError
    from ray.train import TrainingFailedError

    for left in range(retries, -1, -1):
        try:
            return attempt()
        except (RayError, TrainingFailedError) as exc:
            cause = _root(exc)
            died = type(cause).__module__.partition(".")[0] == "ray"
            if died and left:
                continue
            if isinstance(cause, SluiceError) or _is_full_disk(cause):
                raise cause from exc
            raise _failed(cause, died=died) from exc
    raise Bug("A fit was tried a negative number of times.")


def _root(error: BaseException) -> BaseException:
    failures = list(getattr(error, "worker_failures", {}).values())
    if failures:
        return _root(failures[0])
    cause = getattr(error, "cause", None)
    return _root(cause) if isinstance(cause, BaseException) else error


def _is_full_disk(cause: BaseException) -> bool:
    return isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}


def _failed(cause: BaseException, *, died: bool) -> FitFailed:
    if died:
        return FitFailed(
            "The process of the fit died each time it was begun.",
            next_step="Too little memory is the usual cause; see ray-logs in the folder of the run.",
        )
    first, *_ = str(cause).strip().splitlines() or ["no message"]
    return FitFailed(
        f"The estimator raised {type(cause).__name__}: {first}",
        next_step="Mend the estimator, the parameters or the data, then fit again.",
    )
