"""What a whole run of the training pipeline costs, for `sluice bench`."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

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
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        return _measured(Path(folder))


def _measured(folder: Path) -> list[Figure]:
    code = "from cli.main import main; main()"
    start = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own command
        (sys.executable, "-c", code, "pipeline", "run", "--trials", str(TRIALS), "--json"),
        env={**os.environ, "SLUICE_HOME": str(folder)},
        stdout=subprocess.PIPE,
        check=False,
    )
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise RunFailed(
            f"The run left with exit code {done.returncode}.",
            next_step="Run `sluice pipeline run` by hand: it says what is wrong.",
        )
    steps = json.loads(done.stdout)["steps"]
    slowest = max(steps, key=lambda name: steps[name]["seconds"])
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale
    note = f"slowest step: {slowest}, {steps[slowest]['seconds']:.0f} s"
    return [
        Figure(f"full run, {TRIALS} trials", seconds, "s", aim="< 240", note=note),
        Figure("full run, largest process", peak / 2**20, "MiB"),
    ]
