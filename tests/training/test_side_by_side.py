"""Parts of an evaluation in processes of their own give what they give one after the other."""

import os
from functools import partial

import pytest

from tests.training.regression_workload import SETTINGS, dataset, workload
from training.evaluation.evaluation import evaluate
from training.evaluation.models import SplitUnusable
from training.evaluation.side_by_side import side_by_side

MANY = 3000


def numbered(number: int) -> tuple[int, int]:
    """Returns the number, and the process that it was asked in."""
    return number, os.getpid()


def refused() -> None:
    """Raises what an evaluation raises."""
    raise SplitUnusable("Split of seed 3: no row is left for test.", next_step="Bring more data.")


def test_results_come_in_order_from_other_processes() -> None:
    """Many rows are worth processes."""
    found = list(side_by_side([partial(numbered, each) for each in range(6)], rows=MANY, processes=2))
    assert [number for number, _ in found] == list(range(6))
    assert os.getpid() not in {process for _, process in found}


@pytest.mark.parametrize(("rows", "processes"), [(MANY - 1, 2), (MANY, 1)])
def test_little_work_stays_here(rows: int, processes: int) -> None:
    """A start of processes would take longer than the work."""
    found = list(side_by_side([partial(numbered, each) for each in range(3)], rows=rows, processes=processes))
    assert found == [(each, os.getpid()) for each in range(3)]


@pytest.mark.parametrize("rows", [1, MANY])
def test_an_error_is_raised_as_it_was(rows: int) -> None:
    """With its message and what to do, from wherever it came."""
    results = side_by_side([partial(numbered, 0), refused], rows=rows, processes=2)
    with pytest.raises(SplitUnusable, match="no row is left for test") as caught:
        list(results)
    assert caught.value.next_step == "Bring more data."


def test_an_evaluation_is_the_same_either_way() -> None:
    """Every figure, interval and threshold."""
    data = dataset(rows=MANY)
    alone, together = (
        evaluate(
            workload(), data, {"C": 1.0}, run_seed=1,
            settings=SETTINGS.model_copy(update={"evaluation_processes": processes}),
        ).evaluation
        for processes in (1, 2)
    )  # fmt: skip
    assert alone == together
