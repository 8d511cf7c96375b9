"""What a whole run of the training pipeline costs, for `sluice bench`."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Final

from kit.benchmark import Figure
from kit.errors import OperationalError
from kit.home import Home

TRIALS: Final = 20


class RunFailed(OperationalError):
    """The measured run did not end well, so that its time says nothing."""

    code = "measured_run_failed"
    title = "The measured run failed"


def full_run(_home: Home) -> list[Figure]:
    """Returns the time of `sluice pipeline run` from nothing, and the memory of its largest process.

    It runs in a home of its own, so that nothing is reused: the data is brought and parsed anew.

    Raises:
        RunFailed: the run did not end in staging.
    """
    return measured("--trials", str(TRIALS))


def measured(*options: str) -> list[Figure]:
    """Returns the figures of a run with these options of `sluice pipeline run`.

    Raises:
        RunFailed: the run did not end in staging.
    """
    code = "from cli.main import main; main()"
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        done = subprocess.run(  # noqa: S603 - our own command
            (sys.executable, "-c", code, "pipeline", "run", *options, "--json"),
            env={**os.environ, "SLUICE_HOME": folder},
            stdout=subprocess.PIPE,
            check=False,
        )
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise RunFailed(
            f"The run left with exit code {done.returncode}.",
            next_step="Run `sluice pipeline run` by hand: it says what is wrong.",
        )
    return figures(json.loads(done.stdout), seconds)


def figures(summary: Mapping[str, Any], seconds: float) -> list[Figure]:
    """Returns the figures of a run that ended with `summary`, whose processes are children of this one."""
    steps, trials = summary["steps"], summary["steps"]["search"]["trials"]
    slowest = max(steps, key=lambda name: steps[name]["seconds"])
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale
    note = f"slowest step: {slowest}, {steps[slowest]['seconds']:.0f} s"
    return [
        Figure(f"full run, {trials} trials", seconds, "s", aim="< 240", note=note),
        Figure("full run, largest process", peak / 2**20, "MiB"),
    ]
