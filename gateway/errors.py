"""What a client of the gateway is told when it gets no answer; each leaf is a problem document of its own.

Errors::

    CallerError
    ├── RequestInvalid          400  broken JSON, or a request that is none
    ├── EnvironmentUnknown      400  X-Environment names none of the environments
    ├── KeyMissing              401  no key, or one that nobody knows
    ├── ScopeMissing            403  the key is known, and not for this environment, model or page
    ├── PathUnknown             404  no such path
    ├── ModelUnknown            404  no such model, or version, in this environment
    ├── PredictionUnknown       404  no prediction with this request id (any more, or yet)
    ├── MethodRefused           405  a path that is there, asked in another way
    ├── BodyLate                408  the body did not come in time
    ├── BodyTooLarge            413  more bytes than a request may have
    ├── ContentTypeRefused      415  neither JSON nor a message, or a compressed body
    ├── ValidationFailed        422  fields that are wrong, each with its reason
    ├── HttpsRequired           426  plain HTTP, where settings ask for HTTPS
    ├── RateExceeded            429  more requests than the key may send
    └── AttemptsExceeded        429  too many wrong keys from one address
    OperationalError
    ├── Overloaded              503  more requests at once than are worked on, and the queue is full
    ├── RecordsDown             503  the records are asked for something, and do not answer
    ├── NotReady                503  (of /health/ready) no environment answers
    ├── ShuttingDown            503  the gateway is told to stop
    └── UpstreamError           502  (abstract) the model server of the environment
        ├── UpstreamDown        503  cannot be reached, resets, or its circuit breaker is open
        ├── UpstreamNotReady    503  it answers, and no version of the model is served there yet
        ├── UpstreamFailed      502  an error, or something other than the protocol and the contract say
        └── UpstreamLate        504  no answer within the request's time
"""

import math
from collections.abc import Mapping
from typing import Any

from kit.api_keys import keys
from kit.errors import CallerError, OperationalError


class RequestInvalid(CallerError):
    """The body is no JSON, or the request makes no sense."""

    code = "invalid_request"
    title = "Not a request that can be read"


class EnvironmentUnknown(CallerError):
    """X-Environment names none."""

    code = "unknown_environment"
    title = "Unknown environment"


class KeyMissing(keys.KeyMissing):
    """There is no key, or none that is known."""

    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="sluice"'}


class ScopeMissing(CallerError):
    """The key does not reach so far."""

    status = 403
    code = "scope_missing"
    title = "The key is not for this"


class PathUnknown(CallerError):
    """There is no such path."""

    status = 404
    code = "unknown_path"
    title = "Unknown path"


class ModelUnknown(CallerError):
    """The model or its version is not served in the environment."""

    status = 404
    code = "unknown_model"
    title = "Unknown model or version"


class PredictionUnknown(CallerError):
    """Nobody has answered under this request id."""

    status = 404
    code = "unknown_prediction"
    title = "Unknown prediction"


class MethodRefused(CallerError):
    """The path is asked with another method; `allowed` are those it takes."""

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


class ContentTypeRefused(CallerError):
    """The body is of a kind that is not read here."""

    status = 415
    code = "content_type_refused"
    title = "Content type not read here"


class ValidationFailed(CallerError):
    """Fields are wrong; `faults` names each one and its reason, and never its value."""

    status = 422
    code = "validation_failed"
    title = "Fields are missing or wrong"

    def __init__(
        self, message: str, *, faults: list[dict[str, str]] | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.faults = faults or []

    def extensions(self) -> dict[str, Any]:
        """Returns the faults: `field` and `reason` of each."""
        return {"errors": self.faults}


class HttpsRequired(CallerError):
    """The request came without TLS."""

    status = 426
    code = "https_required"
    title = "HTTPS is needed here"
    headers: Mapping[str, str] = {"Upgrade": "TLS/1.2, HTTP/1.1", "Connection": "Upgrade"}


class _Waiting:
    """An error that tells when to come back."""

    retry_after_seconds: float = 1


class RateExceeded(_Waiting, CallerError):
    """The key has sent all it may for now; `headers` are those of the rate, for the answer."""

    status = 429
    code = "rate_exceeded"
    title = "Too many requests"

    def __init__(
        self, message: str, *, retry_after_seconds: float, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, next_step="Wait as many seconds as Retry-After says.")
        self.retry_after_seconds = retry_after_seconds
        self.headers = headers or {}


class AttemptsExceeded(RateExceeded):
    """Too many wrong keys came from one address."""

    code = "attempts_exceeded"
    title = "Too many wrong keys"


class Overloaded(_Waiting, OperationalError):
    """All that may be worked on at once is, and all that may wait waits."""

    code = "overloaded"
    title = "Too many requests at once"


class RecordsDown(_Waiting, OperationalError):
    """What was asked stands in the records, which do not answer."""

    code = "records_down"
    title = "The records do not answer"


class NotReady(_Waiting, OperationalError):
    """No environment answers; `environments` names each one."""

    code = "not_ready"
    title = "Not ready"

    def __init__(
        self, message: str, *, environments: Mapping[str, bool], next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.environments = environments

    def extensions(self) -> dict[str, Any]:
        """Returns the environments."""
        return {"environments": dict(self.environments)}


class ShuttingDown(_Waiting, OperationalError):
    """The gateway ends, and takes nothing new."""

    code = "shutting_down"
    title = "The gateway is stopping"


class UpstreamError(_Waiting, OperationalError):
    """The model server of an environment did not do its part."""

    status = 502
    code = "upstream_error"
    title = "The model server failed"


class UpstreamDown(UpstreamError):
    """It cannot be reached, or was not lately."""

    status = 503
    code = "upstream_down"
    title = "The model server does not answer"

    def __init__(self, message: str, *, next_step: str | None = None, retry_after_seconds: float = 1) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after_seconds = retry_after_seconds


class UpstreamNotReady(UpstreamError):
    """It serves no version yet."""

    status = 503
    code = "upstream_not_ready"
    title = "No model version is served yet"


class UpstreamFailed(UpstreamError):
    """It answers, and not as it should."""

    code = "upstream_failed"
    title = "The model server failed"


class UpstreamLate(UpstreamError):
    """It did not answer in time."""

    status = 504
    code = "upstream_late"
    title = "No answer within the time given"


def headers_of(error: Exception) -> dict[str, str]:
    """Returns what the head of an error's answer says beside its body."""
    told = dict(getattr(error, "headers", {}))
    if isinstance(error, _Waiting):
        told.setdefault("Retry-After", str(math.ceil(error.retry_after_seconds)))
    return told
