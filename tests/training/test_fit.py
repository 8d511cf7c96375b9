"""The final fit: the same model as the estimator alone gives, by one worker or by several."""

import errno
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from kit.home import Home
from tests.training.small_workload import BoostedEstimator, CentroidEstimator, dataset, split, workload
from training import workloads
from training.fit import FitFailed, FitPlan, WorkersUnsupported, fit
from training.fit_benchmark import figures
from training.fit_worker import shard
from training.settings import TrainingSettings
from training.workload import Fitted

pytestmark = pytest.mark.xdist_group("ray")

SETTINGS = TrainingSettings(ray_cpus=2, worker_retries=1)


def fitted_alone(folder: Path) -> Fitted:
    """Returns what the estimator gives without Ray."""
    made, whole, parts = workload(BoostedEstimator(folder)), dataset(), split(1)
    return made.estimator.fit(
        made.defaults,
        whole.rows.inputs["numbers"][parts.train],
        whole.rows.labels[parts.train],
        validation=(whole.rows.inputs["numbers"][parts.validation], whole.rows.labels[parts.validation]),
        seed=1,
    )


def test_one_worker_of_ray_train_gives_the_very_model_of_the_estimator(
    ray_session: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every probability is equal in every bit, and the terminal stays empty."""
    made = workload(BoostedEstimator(tmp_path / "marks"))
    plan = FitPlan(made.defaults, seed=1)
    featuriser, fitted = fit(made, dataset(), split(1), plan, storage=tmp_path / "s", settings=SETTINGS)
    matrix = featuriser.matrix(dataset().rows.inputs)
    alone = fitted_alone(tmp_path).probabilities(matrix)
    np.testing.assert_array_equal(fitted.probabilities(matrix), alone)
    assert fitted.rounds == 12
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in (tmp_path / "s").iterdir()} <= {"ray.log"}


def test_an_estimator_without_shards_is_fitted_in_one_task(ray_session: None, tmp_path: Path) -> None:
    """It goes the same way, once."""
    made = workload(CentroidEstimator(tmp_path / "marks"))
    plan = FitPlan(made.defaults, seed=1)
    _, fitted = fit(made, dataset(), split(1), plan, storage=tmp_path / "s", settings=SETTINGS)
    assert fitted.rounds == 1
    assert len(list((tmp_path / "marks").glob("fit-*"))) == 1


def test_a_killed_process_is_begun_again(ray_session: None, tmp_path: Path) -> None:
    """SIGKILL of the worker costs time, and the model is the same."""
    made = workload(BoostedEstimator(tmp_path / "marks", "dies once"))
    plan = FitPlan(made.defaults, seed=1)
    featuriser, fitted = fit(made, dataset(), split(1), plan, storage=tmp_path / "s", settings=SETTINGS)
    assert len(list((tmp_path / "marks").glob("death-*"))) == 1
    matrix = featuriser.matrix(dataset().rows.inputs)
    np.testing.assert_array_equal(fitted.probabilities(matrix), fitted_alone(tmp_path).probabilities(matrix))


def test_a_process_that_always_dies_is_a_clear_failure(ray_session: None, tmp_path: Path) -> None:
    """One retry is allowed here, so it dies twice, and then nothing hangs."""
    made = workload(CentroidEstimator(tmp_path / "marks", "dies always"))
    with pytest.raises(FitFailed, match="died each time"):
        fit(
            made,
            dataset(),
            split(1),
            FitPlan(made.defaults, seed=1),
            storage=tmp_path / "s",
            settings=SETTINGS,
        )
    assert len(list((tmp_path / "marks").glob("death-*"))) == 2


@pytest.mark.parametrize("shards", [True, False])
def test_an_error_of_the_estimator_is_told_and_not_tried_again(
    ray_session: None, tmp_path: Path, shards: bool
) -> None:
    """The next try would fail too."""
    made = workload(BoostedEstimator(tmp_path / "marks", "raises", fits_in_shards=shards))
    with pytest.raises(FitFailed, match="ValueError: the trees would not grow"):
        fit(
            made,
            dataset(),
            split(1),
            FitPlan(made.defaults, seed=1),
            storage=tmp_path / "s",
            settings=SETTINGS,
        )
    assert len(list((tmp_path / "marks").glob("fit-*"))) == 1


def test_a_full_disk_is_told_as_such(ray_session: None, tmp_path: Path, tiny_disk: Path) -> None:
    """The model cannot be handed over: no fault of the estimator, and nothing to try again."""
    room = os.statvfs(tiny_disk)
    (tiny_disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize))
    made = workload(BoostedEstimator(tmp_path / "marks"))
    settings = SETTINGS.model_copy(update={"ray_storage": str(tiny_disk)})
    with pytest.raises(OSError, match="No space left on device") as told:
        fit(made, dataset(), split(1), FitPlan(made.defaults, seed=1), storage=tmp_path, settings=settings)
    assert told.value.errno == errno.ENOSPC
    assert len(list((tmp_path / "marks").glob("fit-*"))) <= 1


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_that_cannot_share_a_fit_are_refused(workers: int, tmp_path: Path) -> None:
    """A mean of its own is not summed up from shards."""
    made = workload(CentroidEstimator(tmp_path))
    with pytest.raises(WorkersUnsupported, match=f"{workers} workers"):
        fit(
            made,
            dataset(),
            split(1),
            FitPlan(made.defaults, seed=1, workers=workers),
            storage=tmp_path,
            settings=SETTINGS,
        )


def test_more_workers_than_cpus_are_refused(ray_session: None, tmp_path: Path) -> None:
    """Ray Train would wait for them for ever."""
    made = workload(BoostedEstimator(tmp_path))
    with pytest.raises(WorkersUnsupported, match="Ray has 2"):
        fit(
            made,
            dataset(),
            split(1),
            FitPlan(made.defaults, seed=1, workers=3),
            storage=tmp_path,
            settings=SETTINGS,
        )


def test_the_figures_of_bench_are_of_one_run(ray_session: None, tmp_path: Path) -> None:
    """Fit, predict, one row against the libraries, a search, and memory: on the smallest workload."""
    found = figures(workloads.find("iris"), Home(tmp_path), trials=1)
    assert [figure.unit for figure in found] == ["rows/s", "rows/s", "rows/s", "µs/row", "s", "MiB"]
    assert all(figure.value > 0 for figure in found)
    assert found[3].ratio is not None
    assert found[3].ratio > 0
    assert "1 trials on 3 folds" in found[4].name


def test_shards_hold_each_row_once_and_each_class_in_equal_shares() -> None:
    """Three workers of 100 rows with 10 of the rare class: 3 or 4 each."""
    labels = np.array([1] * 10 + [0] * 90)
    parts = [shard(labels, rank, 3) for rank in range(3)]
    assert sorted(row for part in parts for row in part) == list(range(100))
    assert sorted(labels[part].sum() for part in parts) == [3, 3, 4]
