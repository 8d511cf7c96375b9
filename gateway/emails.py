"""E-mails as clients send them: raw in JSON, in fields, or as a message; checked, and handed on as bytes."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from contracts.emails import StructuredEmail
from gateway.backends.backend import Email
from gateway.errors import BodyTooLarge, ContentTypeRefused
from gateway.http import JSON
from gateway.settings import GatewaySettings
from gateway.validation import failed, fault, faults_of, object_of

MESSAGE: Final = "message/rfc822"
RAW: Final = "raw"
_WHAT: Final = "email"


def kind_of(headers: Mapping[str, str], *allowed: str) -> str:
    """Returns the media type of a body, which is one of `allowed`.

    Raises:
        ContentTypeRefused: it is another, or none is given.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in allowed:
        raise ContentTypeRefused(
            "The body is of a kind that is not read here.",
            next_step=f"Send it with the header Content-Type: {' or '.join(allowed)}.",
        )
    return kind


def email_of(body: bytes, kind: str, settings: GatewaySettings) -> Email:
    """Returns the e-mail in `body`, which is of the media type `kind`.

    Raises:
        RequestInvalid: it is to be JSON, and is not.
        ValidationFailed: fields are missing or wrong.
        BodyTooLarge: it is longer than an e-mail may be.
    """
    if kind != JSON:
        return _sized(Email(body, structured=False), settings)
    document = object_of(body, _WHAT)
    if RAW in document:
        return _sized(raw_email(document), settings)
    checked(document)
    return _sized(Email(body, structured=True), settings)


def email_in(document: Any, settings: GatewaySettings) -> Email:
    """Returns the e-mail that one element of a batch is.

    Raises:
        ValidationFailed: fields are missing or wrong.
        BodyTooLarge: it is longer than an e-mail may be.
    """
    if not isinstance(document, dict):
        raise failed([fault(_WHAT, "must be a JSON object")])
    if RAW in document:
        return _sized(raw_email(document), settings)
    checked(document)
    return _sized(Email(orjson.dumps(document), structured=True), settings)


def raw_email(document: dict[str, Any]) -> Email:
    """Returns the message of a document that has `raw`.

    Raises:
        ValidationFailed: it is no text, or is not alone.
    """
    raw = document[RAW]
    faults = []
    if not isinstance(raw, str):
        faults.append(fault(RAW, "must be a string"))
    if len(document) > 1:
        faults.append(fault(_WHAT, "holds `raw` and other fields: send one or the other"))
    if faults:
        raise failed(faults)
    return Email(raw.encode(), structured=False)


def checked(document: dict[str, Any]) -> None:
    """Checks a structured e-mail.

    Raises:
        ValidationFailed: it has no field at all, or wrong ones.
    """
    if not document:
        raise failed([fault(_WHAT, "has no field: send `raw`, or at least one of the fields of an e-mail")])
    try:
        StructuredEmail.model_validate(document)
    except ValidationError as exc:
        raise failed(faults_of(exc, _WHAT)) from None


def _sized(email: Email, settings: GatewaySettings) -> Email:
    size = len(email.data)
    if size > settings.max_email_bytes:
        raise BodyTooLarge(
            f"An e-mail has at most {settings.max_email_bytes} bytes.",
            next_step="Leave out its attachments: they are counted and not read.",
        )
    if not size or email.data.isspace():
        raise failed([fault(_WHAT, "is empty")])
    return email
