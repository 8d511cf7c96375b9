"""How batch scoring fails.

Errors::

    CallerError
    ├── InputRefused      422  the input is absent, empty, unreadable, or lacks a column
    ├── InputChanged      409  the input is not any more what it was when the scoring began
    ├── OutputTaken       409  the output folder holds something already
    └── OutputDiffers     409  it holds an unfinished output of another input, version or option
    OperationalError
    └── PartsFailed       503  a part could not be scored or written; the finished ones stay
    SluiceError
    └── ScoringStopped    499  Ctrl-C, or SIGTERM; the finished parts stay
"""

from kit.errors import CallerError, OperationalError, SluiceError


class InputRefused(CallerError):
    """There is nothing to score, or nothing that can be read."""

    status = 422
    code = "batch_input"
    title = "Input cannot be scored"


class InputChanged(CallerError):
    """Files of the input were added, removed or written while it was scored."""

    status = 409
    code = "batch_input_changed"
    title = "Input has changed"


class OutputTaken(CallerError):
    """The output folder is not empty."""

    status = 409
    code = "batch_output_taken"
    title = "Output folder is taken"


class OutputDiffers(CallerError):
    """What was begun there is not what is asked for now."""

    status = 409
    code = "batch_output_differs"
    title = "Unfinished output of something else"


class PartsFailed(OperationalError):
    """Scoring ended before its end."""

    code = "batch_failed"
    title = "Batch scoring failed"


class ScoringStopped(SluiceError):
    """A person or the machine stopped it."""

    status = 499
    code = "batch_stopped"
    title = "Stopped"
