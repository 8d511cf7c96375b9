"""The process in which the kfp local runner works: started by the command, and gone when the command is.

Usage: python -m pipelines.local_process RUN_FOLDER ARGUMENTS, where ARGUMENTS is a JSON object. The command
holds the other end of standard input; when that closes, whoever held it has died, and so does all this.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from pipelines.task import LOGS, STEPS
from training.steps.step import ORDER

_LAST_ON_RAY: Final = "fit"


def main() -> None:
    """Runs the training pipeline with the local runner; leaves with 1 if a task failed."""
    folder, arguments = Path(sys.argv[1]), json.loads(sys.argv[2])
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    from kfp import local

    from pipelines import one_ray, profiles
    from pipelines.settings import PipelinesSettings
    from pipelines.training_pipeline import build

    pipeline = build(profiles.none, closing=False)
    # No virtual environment and no pip: every task runs on what is installed here.
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / STEPS))
    with contextlib.ExitStack() as stack:
        if _is_needed(PipelinesSettings.load().reuse_before):
            lent = one_ray.lending(
                folder, log=folder / LOGS / "ray.log", after="validate", until=_LAST_ON_RAY
            )
            stack.enter_context(lent)
        pipeline(**arguments)


def _is_needed(reuse_before: str) -> bool:
    """Returns whether a run that goes on from this step still has something for Ray to do."""
    return not reuse_before or ORDER.index(reuse_before) <= ORDER.index(_LAST_ON_RAY)


def _leave_with_parent() -> None:
    # Not sys.stdin: its lock would be held at exit.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
