"""How the demo is told: chapters and commands on standard error, with their times."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from kit.errors import SluiceError
from kit.terminal import say

_ENTRY: Final = "from cli.main import main; main()"
_AGAIN: Final = "Mend what it names, then run the demo again: what is there is used."


class DemoFailed(SluiceError):
    """A step did not succeed, or did not show what the demo promises."""

    code = "demo_failed"
    title = "The demo stopped"


class Teller:
    """Runs and tells; `variables` go to every command."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self.seconds: dict[str, float] = {}
        """What each chapter took."""

    @contextmanager
    def chapter(self, name: str, sentence: str) -> Iterator[None]:
        """Tells what comes now, and keeps how long it took."""
        say(f"\n{sentence}")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 2)

    def sluice(self, *arguments: str, more: Mapping[str, str] | None = None) -> Any:
        """Runs a command in a process of its own, its progress shown, and returns its JSON answer.

        Raises:
            DemoFailed: it left with an exit code other than 0.
        """
        say(f"$ sluice {shlex.join(arguments)}")
        started = time.monotonic()
        done = subprocess.run(  # noqa: S603 - our own commands
            (sys.executable, "-c", _ENTRY, *arguments, "--json"),
            stdout=subprocess.PIPE,
            env={**os.environ, **self.variables, **(more or {})},
            check=False,
        )
        if done.returncode != 0:
            raise DemoFailed(
                f"sluice {shlex.join(arguments)} left with exit code {done.returncode}.\n"
                f"{done.stdout.decode(errors='replace')}".rstrip(),
                next_step=_AGAIN,
            )
        self.tell(f"done in {time.monotonic() - started:.1f} s")
        return json.loads(done.stdout)

    def tell(self, sentence: str) -> None:
        """Tells what a step showed."""
        say(f"  {sentence}")

    def expect(self, holds: bool, promise: str, found: object) -> None:
        """Goes on only if what was promised holds.

        Raises:
            DemoFailed: it does not.
        """
        if not holds:
            raise DemoFailed(f"The demo promises that {promise}; it found {found}.", next_step=_AGAIN)


def joined(names: Sequence[str]) -> str:
    """Returns names for a sentence."""
    return ", ".join(names) if names else "none"
