"""What each operation takes, answers and refuses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from gateway import errors, schemas
from gateway.documentation import examples
from gateway.memory.documents import Remembered
from kit.errors import Bug, SluiceError

Errors = tuple[type[SluiceError], ...]

ALL: Final[Errors] = (errors.RequestInvalid, errors.HttpsRequired, errors.ShuttingDown, Bug)
KEY: Final[Errors] = (
    *ALL, errors.KeyMissing, errors.AttemptsExceeded, errors.RateExceeded, errors.Overloaded,
)  # fmt: skip
BODY: Final[Errors] = (
    errors.BodyLate, errors.BodyTooLarge, errors.ContentTypeRefused, errors.ValidationFailed,
)  # fmt: skip
MODEL: Final[Errors] = (
    errors.EnvironmentUnknown, errors.ScopeMissing, errors.ModelUnknown, errors.UpstreamDown,
    errors.UpstreamNotReady, errors.UpstreamFailed, errors.UpstreamLate,
)  # fmt: skip
_FREE: Final[Errors] = (errors.RequestInvalid, errors.ShuttingDown, Bug)
_V2: Final[Errors] = (*KEY, *MODEL, *BODY, errors.PathUnknown)
_OPEN_OBJECT: Final = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True)
class Operation:
    """One operation; what all have in common is added by `gateway.documentation.document`."""

    summary: str
    tag: str
    errors: Errors
    answer: type[BaseModel] | Mapping[str, Any]
    """A document, or a JSON schema."""
    media: str = "application/json"
    """Of the answer."""
    body: Mapping[str, Any] | None = None
    """The request's, by media type."""
    example: Mapping[str, Any] | None = None
    """Of the answer."""
    key: bool = True
    model: bool = False
    """Whether it asks a model: then it takes X-Environment, and its answer names environment and version."""
    parameters: tuple[str, ...] = field(default=())
    """Of `gateway.documentation.parameters`, besides those that all have."""


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _inference(summary: str) -> Operation:
    return Operation(
        summary=summary,
        tag="Open Inference Protocol",
        errors=_V2,
        answer=_OPEN_OBJECT,
        body={
            "application/json": {"schema": _OPEN_OBJECT, "examples": examples.INFERENCE},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
        model=True,
    )


def _page(summary: str, *, model: bool = True) -> Operation:
    return Operation(
        summary=summary, tag="Open Inference Protocol", errors=_V2, answer=_OPEN_OBJECT, model=model
    )


OPERATIONS: Final[dict[str, Operation]] = {
    "predict": Operation(
        summary="Tell whether an e-mail is spam",
        tag="E-mails",
        errors=(*KEY, *MODEL, *BODY),
        answer=schemas.EmailVerdict,
        body={
            "application/json": {
                "schema": {"anyOf": [_reference("RawEmail"), _reference("StructuredEmail")]},
                "examples": examples.EMAILS,
            },
            "message/rfc822": {
                "schema": {"type": "string", "minLength": 1},
                "examples": {"message": {"value": examples.RAW_MESSAGE}},
            },
        },
        example=examples.VERDICT,
        model=True,
        parameters=("explain",),
    ),
    "predict_batch": Operation(
        summary="Tell of several e-mails which are spam",
        tag="E-mails",
        errors=(*KEY, *MODEL, *BODY),
        answer=schemas.BatchAnswer,
        body={"application/json": {"schema": _reference("Batch"), "examples": examples.BATCH}},
        model=True,
        parameters=("explain",),
    ),
    "feedback": Operation(
        summary="Say what an e-mail really was",
        tag="E-mails",
        errors=(*KEY, *BODY, errors.ScopeMissing, errors.RecordsDown),
        answer=schemas.FeedbackAnswer,
        body={"application/json": {"schema": _reference("NewFeedback"), "examples": examples.FEEDBACK}},
    ),
    "prediction": Operation(
        summary="Look up what was answered",
        tag="E-mails",
        errors=(*KEY, errors.ScopeMissing, errors.PredictionUnknown, errors.PathUnknown, errors.RecordsDown),
        answer=Remembered,
        parameters=("request_id",),
    ),
    "models": Operation(
        summary="List what answers where",
        tag="Models",
        errors=(*KEY, errors.EnvironmentUnknown, errors.ScopeMissing),
        answer=schemas.ServedModels,
        parameters=("environment",),
    ),
    "infer": _inference("Ask a model"),
    "infer_by_version": _inference("Ask a version of a model"),
    "model_metadata": _page("Describe a model"),
    "model_version_metadata": _page("Describe a version of a model"),
    "model_ready": _page("Tell whether a model answers"),
    "model_version_ready": _page("Tell whether a version of a model answers"),
    "server_metadata": _page("Describe the gateway"),
    "server_live": _page("Tell that the gateway runs"),
    "server_ready": _page("Tell whether an environment answers"),
    "live": Operation(
        summary="Tell that the process runs", tag="Health", errors=_FREE, answer=schemas.Live, key=False
    ),
    "ready": Operation(
        summary="Tell which environments answer",
        tag="Health",
        errors=(*_FREE, errors.NotReady),
        answer=schemas.Ready,
        key=False,
    ),
    "metrics": Operation(
        summary="Tell what is counted and timed; from elsewhere than near networks it takes an admin's key",
        tag="Health",
        errors=(*ALL, errors.KeyMissing, errors.ScopeMissing, errors.AttemptsExceeded),
        answer={"type": "string"},
        media="text/plain",
    ),
}
