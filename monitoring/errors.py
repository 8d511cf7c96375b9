"""What monitoring refuses, as a tree.

Errors::

    CallerError
    └── ReferenceUnusable   422  a version's reference is absent, empty, or of other columns than its rows
    Refused
    ├── NothingServed       422  no prediction was recorded where one was looked for
    ├── TooFewRows          422  a window holds fewer rows than a judgement needs
    └── WindowMeasured      422  the window overlaps one that was measured already
"""

from kit.errors import CallerError, Refused


class ReferenceUnusable(CallerError):
    """There is nothing to compare the traffic of a version with."""

    status = 422
    code = "reference_unusable"
    title = "No reference to compare with"


class NotMeasured(Refused):
    """A window that is not measured; the message is its one reason."""

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message, reasons=(), next_step=next_step)


class NothingServed(NotMeasured):
    """No prediction was recorded."""

    code = "nothing_served"
    title = "No predictions"


class TooFewRows(NotMeasured):
    """A judgement on so few rows would be noise."""

    code = "too_few_rows"
    title = "Too few predictions"


class WindowMeasured(NotMeasured):
    """The same rows would be counted twice in a series."""

    code = "window_measured"
    title = "Measured already"
