"""What the transformer answers when it cannot answer.

Errors::

    CallerError
    ├── RequestInvalid     400  not a request of this model (kit/email_inference.py)
    ├── ModelUnknown       404  another model or version than the one that is served
    ├── PathUnknown        404  no such path
    ├── MethodRefused      405  a path that is there, asked in another way
    ├── BodyLate           408  the body did not come within the caller's own time
    ├── BodyTooLarge       413  more bytes than one request may have
    └── EncodingRefused    415  a compressed body
    OperationalError
    ├── Overloaded         503  more requests than are worked on at once
    ├── PredictorDown      503  Triton does not answer, or not yet with this version
    ├── PredictorFailed    502  Triton answers with an error, or something other than the contract says
    ├── NotReady           503  no version is served yet
    └── DeadlinePassed     504  there was no answer within the time that the caller gave
"""

from kit.errors import CallerError, OperationalError

RETRY_SECONDS = 1
"""What Retry-After says: Triton is back within seconds or not at all."""


class ModelUnknown(CallerError):
    """The path names a model or a version that is not served here."""

    status = 404
    code = "unknown_model"
    title = "Unknown model or version"


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


class EncodingRefused(CallerError):
    """The body is compressed."""

    status = 415
    code = "encoding_refused"
    title = "Compressed bodies are not read"


class Overloaded(OperationalError):
    """Everything that may be worked on at once is."""

    code = "overloaded"
    title = "Too many requests at once"


class PredictorDown(OperationalError):
    """Triton cannot be reached, or does not have the version."""

    code = "predictor_down"
    title = "The model server does not answer"


class PredictorFailed(OperationalError):
    """Triton answers, and not as it should."""

    status = 502
    code = "predictor_failed"
    title = "The model server failed"


class NotReady(OperationalError):
    """No version was verified yet."""

    code = "not_ready"
    title = "No model version is served yet"


class DeadlinePassed(OperationalError):
    """The caller's time is over."""

    status = 504
    code = "deadline_passed"
    title = "No answer within the time given"
