"""What monitoring refuses, as a tree.

Errors::

    CallerError
    ├── RequestInvalid      400  this is no request of HTTP, or it makes no sense
    ├── SignInRefused       401  a key that does not open the console, or a sign-in page that is too old
    ├── SignInsExceeded     429  too many wrong keys from one address
    ├── FormRefused         403  a form that our own page did not send, or of another session
    ├── FormInvalid         400  a form that cannot be read, or lacks what it needs
    ├── PathUnknown         404  no such path
    ├── MethodRefused       405  a path that is there, asked in another way
    ├── BodyLate            408  the body did not come in time
    ├── BodyTooLarge        413  more bytes than a request may have
    ├── HookUnsigned        401  a message without a valid signature or token
    ├── HookStale           401  a signed message that is too old, or of a time to come
    ├── HookMalformed       422  a signed message that is none of ours
    ├── HookOtherMedia      415  a message that says that it is no JSON
    └── ReferenceUnusable   422  a version's reference is absent, empty, or of other columns than its rows
    Refused
    ├── NothingServed       422  no prediction was recorded where one was looked for
    ├── TooFewRows          422  a window holds fewer rows than a judgement needs
    └── WindowMeasured      422  the window overlaps one that was measured already
    OperationalError
    ├── HookClosed          503  a hook that has no secret, and so accepts nothing
    ├── GatewayUnread       503  the gateway's own figures cannot be read
    └── ShuttingDown        503  the process is told to stop
"""

from kit.errors import CallerError, OperationalError, Refused


class RequestInvalid(CallerError):
    """What came is no request."""

    code = "invalid_request"
    title = "Not a request that can be read"


class PathUnknown(CallerError):
    """There is no such path."""

    status = 404
    code = "unknown_path"
    title = "Unknown path"


class MethodRefused(CallerError):
    """The path is asked with another method."""

    status = 405
    code = "method_refused"
    title = "Wrong method"

    def __init__(self, message: str, *, allowed: str, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.headers = {"Allow": allowed}


class BodyLate(CallerError):
    """The body did not come in time."""

    status = 408
    code = "body_late"
    title = "The body came too slowly"


class BodyTooLarge(CallerError):
    """The body has more bytes than a request may have."""

    status = 413
    code = "body_too_large"
    title = "Body too large"


class GatewayUnread(OperationalError):
    """The gateway does not tell its figures: it is down, or lets us not see them."""

    code = "gateway_unread"
    title = "The gateway's figures cannot be read"


class ShuttingDown(OperationalError):
    """The process ends."""

    code = "shutting_down"
    title = "Shutting down"


class SignInRefused(CallerError):
    """This key does not open the console."""

    status = 401
    code = "sign_in_refused"
    title = "You are not signed in"


class SignInsExceeded(CallerError):
    """Too many wrong keys came from one address."""

    status = 429
    code = "sign_ins_exceeded"
    title = "Too many wrong keys"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, next_step=f"Wait {retry_after_seconds} seconds, then try again.")
        self.retry_after_seconds = retry_after_seconds


class FormRefused(CallerError):
    """Nobody can tell that the person whose session it is sent this form."""

    status = 403
    code = "form_refused"
    title = "This form was not taken"


class FormInvalid(CallerError):
    """A form that cannot be read, or a field of it."""

    code = "form_invalid"
    title = "This form cannot be read"


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


class HookUnsigned(CallerError):
    """Nobody who knows a secret of this hook sent it."""

    status = 401
    code = "hook_unsigned"
    title = "Not signed, or not by whom we trust"


class HookStale(CallerError):
    """The signature is good, and its time is not now."""

    status = 401
    code = "hook_stale"
    title = "A message of another time"


class HookMalformed(CallerError):
    """It is signed, and says nothing that is understood here."""

    status = 422
    code = "hook_malformed"
    title = "Not a message of ours"


class HookOtherMedia(CallerError):
    """Its content type says that it is no JSON."""

    status = 415
    code = "hook_other_media"
    title = "Not JSON"


class HookClosed(OperationalError):
    """Whoever runs this process has not set what the hook would trust."""

    code = "hook_closed"
    title = "This hook is closed"
