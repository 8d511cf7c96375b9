"""SIGTERM taken as Ctrl-C, so that whoever is ended cleans up as if a person had stopped it."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def terminating_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM, for the block, what Ctrl-C is: whoever ends the command ends what it started."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former: Any = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
