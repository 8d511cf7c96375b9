"""The stricter gate: each rule lets go at its bound, holds just before it, and asks that somebody looked."""

from datetime import timedelta
from typing import Any

import pytest

from monitoring.retraining.promotion_gate import Certificate, Evidence, judged
from monitoring.settings import MonitoringSettings
from records.repositories.shadows import Pairs
from tests.monitoring.hooks import NOON

SETTINGS = MonitoringSettings.load(auto_promote=True)
GOOD = Certificate({"mean_f1": 0.95, "mean_accuracy": 0.95}, 900)


def broken(settings: MonitoringSettings = SETTINGS, **changed: Any) -> list[str]:
    """Returns the rules that a version breaks that would keep them all but for `changed`."""
    values: dict[str, Any] = {
        "version": "2",
        "production": "1",
        "staged_at": NOON - timedelta(hours=24),
        "answers": 1000,
        "pairs": Pairs(100, 0),
        "measured": True,
        "alerts": (),
        "own": GOOD,
        "other": GOOD,
    }
    reasons = judged(Evidence(**(values | changed)), settings, NOON)
    assert all(reason.sentence.endswith(".") or ")." in reason.sentence for reason in reasons)
    return [reason.rule for reason in reasons if not reason.kept]


def test_at_every_bound_it_lets_go() -> None:
    """A day, a thousand answers, no difference, no alert, and figures as good as production's."""
    assert broken() == []


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        (
            {"production": None, "other": None},
            ["a version before it", "no worse mean_f1", "no worse mean_accuracy"],
        ),
        ({"staged_at": NOON - timedelta(hours=23, minutes=59)}, ["time in staging"]),
        ({"answers": 999}, ["answers in staging"]),
        ({"pairs": Pairs(0, 0)}, ["agreement with production"]),
        ({"pairs": Pairs(72, 0)}, ["agreement with production"]),
        ({"pairs": Pairs(73, 0)}, []),
        ({"pairs": Pairs(1000, 50)}, ["agreement with production"]),
        ({"pairs": Pairs(1000, 30)}, []),
        ({"alerts": ("iris/staging/data_drift/numbers",)}, ["quiet in staging"]),
        ({"measured": False}, ["quiet in staging"]),
        ({"own": None}, ["no worse mean_f1", "no worse mean_accuracy"]),
        ({"own": GOOD._replace(figures={"mean_f1": 0.95})}, ["no worse mean_accuracy"]),
        ({"own": GOOD._replace(rows=899)}, ["no worse mean_f1", "no worse mean_accuracy"]),
        ({"own": GOOD._replace(figures={"mean_f1": 0.949, "mean_accuracy": 0.96})}, ["no worse mean_f1"]),
        ({"own": Certificate({"mean_f1": 0.94, "mean_accuracy": 0.94}, 9000)}, []),
    ],
)
def test_each_rule_holds_by_itself(changed: dict[str, Any], rules: list[str]) -> None:
    """A figure on few rows is worth less than the same on many."""
    assert broken(**changed) == rules


def test_a_limit_of_everything_still_asks_for_pairs() -> None:
    """Nobody looked is never a pass."""
    lax = MonitoringSettings.load(auto_promote=True, auto_promote_disagreement=1)
    assert broken(lax, pairs=Pairs(0, 0)) == ["agreement with production"]
    assert broken(lax, pairs=Pairs(1, 1)) == []
