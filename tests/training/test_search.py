"""A search on a real Ray: what it finds, what it shares, what it survives."""

import json
import shutil
from pathlib import Path

import pytest

from kit.errors import UsageError
from kit.files import Locked, locked
from tests.training.small_workload import BoostedEstimator, CentroidEstimator, dataset, split, workload
from training.featurising import Fold
from training.folds import TooFewRows, folds
from training.search import read_result, search, write_result
from training.search_driver import SearchFailed
from training.search_journal import JOURNAL, SearchDiffers
from training.settings import TrainingSettings
from training.trials import Progress, SearchPlan, SearchResult, Trial, TrialStatus
from training.workload import Dataset, Rows

pytestmark = pytest.mark.xdist_group("ray")

SETTINGS = TrainingSettings(ray_cpus=2, search_grace_rounds=4, search_reduction=2, worker_retries=1)


@pytest.fixture(scope="module")
def found(
    ray_session: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SearchResult, list[tuple[Trial, Progress]], Path]:
    """What eight trials found, what was told on the way, and the folder with marks and journal."""
    folder = tmp_path_factory.mktemp("search")
    told: list[tuple[Trial, Progress]] = []
    result = search(
        workload(BoostedEstimator(folder / "marks")),
        dataset(),
        split(1),
        SearchPlan(trials=8, seed=1),
        storage=folder / "storage",
        settings=SETTINGS,
        on_trial=lambda trial, progress: told.append((trial, progress)),
    )
    return result, told, folder


def marks(folder: Path, what: str) -> list[str]:
    """Returns the names of the marks that begin with `what`, without their random ends."""
    return sorted(path.name.rpartition("-")[0] for path in (folder / "marks").glob(f"{what}-*"))


Found = tuple[SearchResult, list[tuple[Trial, Progress]], Path]


def test_a_search_returns_the_best_of_all_its_trials(found: Found) -> None:
    """Every trial is there once, complete, and the best one is the best."""
    result, _, folder = found
    assert len(result.trials) == 8
    assert [trial.number for trial in result.trials] == list(range(8))
    assert result.value == max(trial.value for trial in result.trials if trial.value is not None)
    assert result.value > 0.9
    assert all(
        set(trial.parameters) == {"learning_rate", "max_depth", "steps", "rounds"} for trial in result.trials
    )
    assert len(marks(folder, "fit")) == 8
    assert result.best_so_far()[-1] == result.value


def test_the_defaults_are_always_tried_and_never_stopped(found: Found) -> None:
    """Every other trial is held against them; which of two that run together ends first is chance."""
    result, _, _ = found
    assert result.defaults in result.trials
    assert result.defaults is not None
    assert result.defaults.parameters == workload(None).defaults
    assert result.defaults.status is TrialStatus.FINISHED


def test_each_distinct_featuriser_is_fitted_once(found: Found) -> None:
    """Eight trials with two settings of the features make two featurisers, and not eight."""
    result, _, folder = found
    tried = {trial.parameters["steps"] for trial in result.trials}
    assert tried == {(1,), (2,)}
    assert marks(folder, "featuriser") == ["featuriser-1", "featuriser-2"]
    assert result.featurisers == 2


def test_trials_far_behind_are_stopped_before_their_last_round(found: Found) -> None:
    """ASHA stops some at a rung, and lets the best go on to the end."""
    result, _, folder = found
    stopped = [trial for trial in result.trials if trial.status is TrialStatus.STOPPED]
    assert stopped
    assert all(trial.value is None and trial.rounds in (4, 8) for trial in stopped)
    whole = [trial for trial in result.trials if trial.status is TrialStatus.FINISHED]
    assert all(trial.rounds == 12 for trial in whole)
    assert len(marks(folder, "whole")) == len(whole)


def test_the_caller_hears_of_each_trial_and_of_the_best_so_far(found: Found) -> None:
    """The progress counts up to the end, and its best never gets worse."""
    result, told, _ = found
    assert [trial for trial, _ in told] == list(result.trials)
    assert [progress.ended for _, progress in told] == list(range(1, 9))
    values = [progress.best.value for _, progress in told if progress.best and progress.best.value]
    assert values == sorted(values)
    assert values[-1] == result.value


def test_a_result_is_the_same_after_json(found: Found, tmp_path: Path) -> None:
    """Tuples among the parameters are tuples again: a featuriser's key must be hashable."""
    result, _, folder = found
    write_result(result, tmp_path / "search.json")
    assert read_result(tmp_path / "search.json", workload(BoostedEstimator(folder))) == result


def test_a_whole_search_is_not_run_again(found: Found) -> None:
    """Resuming what is finished returns it at once, and fits nothing."""
    result, _, folder = found
    before = len(list((folder / "marks").iterdir()))
    again = search(
        workload(BoostedEstimator(folder / "marks")),
        dataset(),
        split(1),
        SearchPlan(trials=8, seed=1, resume=True),
        storage=folder / "storage",
        settings=SETTINGS,
    )
    assert (again.best, again.trials, again.resumed) == (result.best, result.trials, 8)
    assert len(list((folder / "marks").iterdir())) == before


@pytest.mark.parametrize("change", [{"seed": 2}, {"objective": "log_loss"}, {"folds": 3}])
def test_another_search_does_not_go_on_with_these_trials(found: Found, change: dict[str, int | str]) -> None:
    """Values of another objective or other rows are not comparable."""
    _, _, folder = found
    plan = SearchPlan(**{"trials": 9, "seed": 1, "resume": True, **change})  # type: ignore[arg-type]
    with pytest.raises(SearchDiffers, match=next(iter(change))):
        search(
            workload(BoostedEstimator(folder / "marks")),
            dataset(),
            split(1),
            plan,
            storage=folder / "storage",
            settings=SETTINGS,
        )


def test_a_line_cut_off_by_a_kill_is_dropped_and_its_trial_run_again(found: Found, tmp_path: Path) -> None:
    """Half a line at the end of the journal costs that trial and no other."""
    whole, _, folder = found
    shutil.copytree(folder / "storage", tmp_path / "s")
    journal = tmp_path / "s" / JOURNAL
    journal.write_text(journal.read_text()[:-10])
    again = search(
        workload(BoostedEstimator(tmp_path / "marks")),
        dataset(),
        split(1),
        SearchPlan(trials=8, seed=1, resume=True),
        storage=tmp_path / "s",
        settings=SETTINGS,
    )
    assert again.trials[:7] == whole.trials[:7]
    assert (again.resumed, len(again.trials)) == (7, 8)
    assert len(marks(tmp_path, "fit")) == 1
    assert len([json.loads(line) for line in journal.read_text().splitlines()]) == 9


def test_grouped_folds_are_averaged_and_leave_the_validation_rows_alone(
    ray_session: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Three folds make three fits for each trial; the terminal stays empty.

    No trial is ten standard errors ahead of the defaults, so that they are taken.
    """
    made = workload(CentroidEstimator(tmp_path / "marks"))
    result = search(
        made,
        dataset(),
        split(1),
        SearchPlan(trials=3, seed=1, folds=3),
        storage=tmp_path / "s",
        settings=SETTINGS.model_copy(update={"search_margin": 10}),
    )
    assert len(marks(tmp_path, "fit")) == 9
    assert result.featurisers == len(marks(tmp_path, "featuriser"))
    assert result.best == result.defaults
    assert result.parameters == made.defaults
    assert [len(trial.values) for trial in result.trials] == [3, 3, 3]
    assert result.value == pytest.approx(sum(result.best.values) / 3)
    assert result.noise is not None
    write_result(result, tmp_path / "search.json")
    assert read_result(tmp_path / "search.json", made) == result
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "s" / "ray.log").exists()
    parts = folds(dataset(), split(1), count=3, seed=1)
    groups = dataset().groups
    for part in parts:
        assert not set(part.judge) & set(split(1).validation)
        assert not {groups[row] for row in part.fit} & {groups[row] for row in part.judge}
    assert sorted(row for part in parts for row in part.judge) == sorted(split(1).train)


def test_a_killed_worker_is_replaced_and_its_trial_run_again(ray_session: None, tmp_path: Path) -> None:
    """SIGKILL of a trial's process costs time and no trial."""
    result = search(
        workload(CentroidEstimator(tmp_path / "marks", "dies once")),
        dataset(),
        split(1),
        SearchPlan(trials=2, seed=1),
        storage=tmp_path / "s",
        settings=SETTINGS,
    )
    assert len(marks(tmp_path, "death")) >= 1
    assert [trial.status for trial in result.trials] != [TrialStatus.FAILED] * 2
    assert all(trial.error is None for trial in result.trials)


def test_workers_that_always_die_end_the_search_with_a_reason(ray_session: None, tmp_path: Path) -> None:
    """No hang: after its retries a trial has failed, and so has a search without another one."""
    with pytest.raises(SearchFailed, match="Its process died 2 times"):
        search(
            workload(CentroidEstimator(tmp_path / "marks", "dies always")),
            dataset(),
            split(1),
            SearchPlan(trials=1, seed=1),
            storage=tmp_path / "s",
            settings=SETTINGS,
        )
    assert len(marks(tmp_path, "death")) == 2


def test_a_search_gives_up_when_its_first_trials_all_fail(ray_session: None, tmp_path: Path) -> None:
    """An estimator that raises is not asked twenty times, and each trial once only."""
    with pytest.raises(SearchFailed, match="ValueError: the trees would not grow") as caught:
        search(
            workload(CentroidEstimator(tmp_path / "marks", "raises")),
            dataset(),
            split(1),
            SearchPlan(trials=20, seed=1),
            storage=tmp_path / "s",
            settings=SETTINGS,
        )
    assert "first 3 trials" in caught.value.message
    assert 3 <= len(marks(tmp_path, "fit")) <= 5


def test_a_trial_that_fails_does_not_spoil_the_others(ray_session: None, tmp_path: Path) -> None:
    """Points at which the estimator raises are failed trials with a sentence."""
    result = search(
        workload(CentroidEstimator(tmp_path / "marks", "raises below 3")),
        dataset(),
        split(1),
        SearchPlan(trials=8, seed=1),
        storage=tmp_path / "s",
        settings=SETTINGS,
    )
    failed = [trial for trial in result.trials if trial.status is TrialStatus.FAILED]
    assert failed
    assert {trial.error for trial in failed} == {"ValueError: the trees would not grow"}
    assert all(trial.parameters["max_depth"] < 3 for trial in failed)
    assert result.best.parameters["max_depth"] >= 3


def test_an_error_of_the_caller_ends_the_search(ray_session: None, tmp_path: Path) -> None:
    """A tracker that is away is not passed over in silence."""

    def unreachable(_trial: Trial, _progress: Progress) -> None:
        raise ConnectionError("the tracker is away")

    with pytest.raises(ConnectionError, match="the tracker is away"):
        search(
            workload(CentroidEstimator(tmp_path / "marks")),
            dataset(),
            split(1),
            SearchPlan(trials=2, seed=1),
            storage=tmp_path / "s",
            settings=SETTINGS,
            on_trial=unreachable,
        )


def test_time_is_up_before_any_trial_is_done(ray_session: None, tmp_path: Path) -> None:
    """A budget too small for one trial is an error that says so."""
    with pytest.raises(SearchFailed, match=r"within 0\.1 seconds"):
        search(
            workload(CentroidEstimator(tmp_path / "marks", "sleeps")),
            dataset(),
            split(1),
            SearchPlan(trials=4, seed=1, time_budget_seconds=0.1),
            storage=tmp_path / "s",
            settings=SETTINGS,
        )


def test_two_searches_in_one_folder_are_refused(tmp_path: Path) -> None:
    """Their trials would mix."""
    with locked(tmp_path / "s" / "search.lock", what="A search"), pytest.raises(Locked):
        search(
            workload(CentroidEstimator(tmp_path)),
            dataset(),
            split(1),
            SearchPlan(trials=1, seed=1),
            storage=tmp_path / "s",
            settings=SETTINGS,
        )


@pytest.mark.parametrize("plan", [SearchPlan(trials=0, seed=1), SearchPlan(trials=1, seed=1, objective="f2")])
def test_a_plan_without_sense_is_refused(plan: SearchPlan, tmp_path: Path) -> None:
    """No trials, or an objective that nobody knows."""
    with pytest.raises(UsageError):
        search(
            workload(CentroidEstimator(tmp_path)),
            dataset(),
            split(1),
            plan,
            storage=tmp_path,
            settings=SETTINGS,
        )


def test_one_class_only_is_refused_before_ray_starts(tmp_path: Path) -> None:
    """A classifier of one class would be right always, and worth nothing."""
    whole = dataset()
    rows = Rows(whole.rows.inputs, whole.rows.labels * 0, whole.rows.ids)
    with pytest.raises(TooFewRows, match="one class"):
        search(
            workload(CentroidEstimator(tmp_path)),
            Dataset(rows=rows, fingerprint="one", split=split),
            split(1),
            SearchPlan(trials=1, seed=1),
            storage=tmp_path,
            settings=SETTINGS,
        )


def test_an_empty_part_is_refused_and_a_whole_one_is_not() -> None:
    """Both sides: no validation rows is an error, the split of the workload is none."""
    whole = split(1)
    (fold,) = folds(dataset(), whole, count=0, seed=1)
    assert isinstance(fold, Fold)
    with pytest.raises(TooFewRows, match="validation"):
        folds(dataset(), whole._replace(validation=whole.validation[:0]), count=0, seed=1)
