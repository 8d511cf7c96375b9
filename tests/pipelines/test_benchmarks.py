"""The measured figures of a whole run."""

import pytest

from pipelines.benchmarks import RunFailed, figures, measured
from tests.pipelines.conftest import Finished

pytestmark = pytest.mark.xdist_group("pipelines")


def test_the_figures_are_those_of_the_run_and_name_its_slowest_step(finished: Finished) -> None:
    """From the summary that the command prints."""
    steps = finished.summary["steps"]
    slowest = max(steps, key=lambda name: float(steps[name]["seconds"]))
    whole, process = figures(finished.summary, 12.5)
    assert (whole.name, whole.value, whole.unit) == ("full run, 2 trials", 12.5, "s")
    assert f"slowest step: {slowest}" in str(whole.note)
    assert process.value > 50


def test_a_run_that_fails_is_no_figure() -> None:
    """Its time would say nothing."""
    with pytest.raises(RunFailed, match="exit code 2"):
        measured("--workload", "roses")
