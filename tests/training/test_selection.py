"""Which trial is taken: the best beyond noise, and the defaults otherwise."""

from typing import Any

import pytest

from kit.settings import SettingsError
from training.selection import Selection, selected
from training.settings import TrainingSettings
from training.trials import Trial, TrialStatus

DEFAULTS: dict[str, Any] = {"depth": 3, "terms": ("a", "b")}


def trial(number: int, *values: float, depth: int = 0) -> Trial:
    """Returns a finished trial with these values on its folds; one without values was stopped."""
    return Trial(
        number=number,
        parameters={**DEFAULTS, "depth": depth or 3 + number},
        status=TrialStatus.FINISHED if values else TrialStatus.STOPPED,
        value=sum(values) / len(values) if values else None,
        values=values,
        rounds=1,
        seconds=1,
        finished_at="2026-01-01T00:00:00+00:00",
    )


BASE = trial(0, 0.90, 0.92, 0.94)
WORSE = trial(1, 0.88, 0.91, 0.91)
"""-0.02, -0.01, -0.03 from the base on its folds: a variance of 1e-4."""


def take(*trials: Trial, margin: float = 1, maximised: bool = True) -> Selection:
    """Returns what is taken of these."""
    found = selected(trials, DEFAULTS, maximised=maximised, margin=margin)
    assert found is not None
    return found


@pytest.mark.parametrize(("ahead", "number"), [(0.0064, 0), (0.0065, 2)])
def test_the_best_replaces_the_defaults_beyond_one_standard_error(ahead: float, number: int) -> None:
    """Variances of 1e-4 and 0 between three folds, pooled and widened: sqrt(5e-5 * (1/3 + 1/2)) = 0.00645."""
    best = trial(2, *(value + ahead for value in BASE.values))
    found = take(BASE, WORSE, best)
    assert found.trial.number == number
    assert found.defaults == BASE
    assert found.noise == pytest.approx(0.00645, abs=1e-5)


@pytest.mark.parametrize(("margin", "number"), [(0, 2), (1, 2), (2, 0)])
def test_the_margin_says_how_many_standard_errors(margin: float, number: int) -> None:
    """Without a margin the best is taken as it is."""
    assert take(BASE, WORSE, trial(2, 0.91, 0.93, 0.95), margin=margin).trial.number == number


def test_less_may_be_better() -> None:
    """A log loss is the better the smaller it is."""
    best = trial(2, *(value - 0.1 for value in BASE.values))
    assert take(BASE, WORSE, best, maximised=False).trial.number == 2
    assert take(BASE, trial(1, 1.0, 1.1, 0.9), maximised=False).trial.number == 0


def test_the_earliest_of_equal_trials_is_taken_and_stopped_ones_are_not() -> None:
    """Neither the order of the folds nor an unfinished trial has a say."""
    assert take(trial(1, 0.9, 0.9), trial(2, 0.9, 0.9), trial(3)).trial.number == 1


@pytest.mark.parametrize(
    "others",
    [
        (trial(1, 0.9),),  # without a trial of the defaults
        (trial(0), trial(1, 0.9)),  # they were stopped
        (trial(0, 0.8), trial(1, 0.9)),  # one fold
    ],
)
def test_the_best_is_taken_where_nothing_tells_what_noise_is(others: tuple[Trial, ...]) -> None:
    """No defaults to hold it against, or no spread."""
    found = take(*others)
    assert (found.trial.number, found.noise) == (1, None)


@pytest.mark.parametrize("folds", [0, 2, 3])
def test_folds_are_none_or_several(folds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment gives them; one fold leaves nothing to fit on."""
    monkeypatch.setenv("TRAINING_SEARCH_FOLDS", str(folds))
    assert TrainingSettings.load().search_folds == folds
    monkeypatch.setenv("TRAINING_SEARCH_FOLDS", "1")
    with pytest.raises(SettingsError, match="one fold"):
        TrainingSettings.load()


def test_without_a_finished_trial_nothing_is_taken() -> None:
    """The caller says what that means."""
    assert selected([trial(0), trial(1)], DEFAULTS, maximised=True, margin=1) is None
    assert take(trial(0, 0.9, 0.8)).trial.number == 0
