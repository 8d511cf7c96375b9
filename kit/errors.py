"""The errors of Sluice, and how they are told to a caller and to a person.

Tree (each package adds leaves; every leaf has a `code` of its own)::

    SluiceError
    ├── CallerError        4xx  the caller can mend it; logged at info, no stack
    │   ├── UsageError     400  a command or a request that makes no sense; exit 2
    │   └── Refused        422  a gate said no, with reasons; exit 3
    ├── OperationalError   503  a neighbour is slow, down or full; logged at warning, counted
    └── Bug                500  our fault; logged with its stack

A message says what is wrong and what to do next. It is shown to callers, so it never holds a payload,
a secret, or the words of an upstream.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What the `sluice` command tells the shell."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3


class SluiceError(Exception):
    """The base of every error that Sluice raises on purpose.

    Class attributes: `status` is the HTTP status, `code` the stable machine-readable name,
    `title` the same in words, `exit_code` what the command line returns.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def extensions(self) -> dict[str, Any]:
        """Returns the members that this kind of error adds to its problem document."""
        return {}


class CallerError(SluiceError):
    """The caller can mend it."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class UsageError(CallerError):
    """A command or a request that makes no sense as it stands."""

    code = "usage"
    title = "Wrong usage"
    exit_code = ExitCode.USAGE


class Refused(CallerError):
    """A gate said no; `reasons` holds one sentence for each thing that must change."""

    status = 422
    code = "refused"
    title = "Refused by a gate"
    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *, reasons: Sequence[str], next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.reasons = tuple(reasons)

    def extensions(self) -> dict[str, Any]:
        """Returns the reasons."""
        return {"reasons": list(self.reasons)}


class OperationalError(SluiceError):
    """A neighbour is slow, down or full; trying again later may help."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"


class Bug(SluiceError):
    """Our fault: an assumption of the code did not hold."""


def problem(
    error: SluiceError, *, request_id: str | None = None, now: datetime | None = None
) -> dict[str, Any]:
    """Returns `error` as a problem document (RFC 9457, `application/problem+json`).

    The text of a bug stays inside: its `detail` is only the title, and the log holds the rest.
    """
    document: dict[str, Any] = {
        "type": f"urn:sluice:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.title if error.status == SluiceError.status else error.message,
        "code": error.code,
        "timestamp": (now or datetime.now(UTC)).isoformat(timespec="milliseconds"),
    }
    if request_id is not None:
        document["request_id"] = request_id
    if error.status != SluiceError.status:
        if error.next_step is not None:
            document["next_step"] = error.next_step
        document |= error.extensions()
    return document
