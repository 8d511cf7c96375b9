"""One private Ray for all modules of a worker that need one: a start takes eight seconds of CPU time."""

import contextlib
from pathlib import Path

import pytest

from kit.ray.session import opened
from tests.kit.ray_head import authenticate
from training.settings import TrainingSettings

CPUS = 2


class SharedRay:
    """A Ray of two CPUs that the first who needs it starts, and who needs none ends."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._open: contextlib.ExitStack | None = None

    def start(self) -> None:
        """Starts it, unless it runs."""
        if self._open is not None:
            return
        with contextlib.ExitStack() as stack:
            authenticate(stack.enter_context(pytest.MonkeyPatch.context()))
            cpus = stack.enter_context(opened(TrainingSettings(ray_cpus=CPUS), log=self._log))
            assert cpus == CPUS
            self._open = stack.pop_all()

    def end(self) -> None:
        """Ends it, if it runs."""
        if self._open is not None:
            self._open.close()
            self._open = None
