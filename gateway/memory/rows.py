"""From an answer to a row of the records, and from a row to a line of the spool and back."""

import zlib
from typing import Final

from pydantic import ValidationError

from gateway.memory.answered import Answered
from records.repositories.predictions import NewPrediction

_HEAD: Final = len(b"01234567 ")
_SERIALIZER: Final = NewPrediction.__pydantic_serializer__
_VALIDATOR: Final = NewPrediction.__pydantic_validator__


def row(answered: Answered) -> NewPrediction:
    """Returns the row of an answer, checked against all that its table refuses.

    Raises:
        RecordRejected: a value is out of its bounds; the message holds no value.
    """
    facts = answered.facts
    return NewPrediction.checked(
        request_id=answered.request_id,
        created_at=answered.created_at,
        environment=answered.environment,
        model_name=answered.model,
        model_version=answered.version,
        schema_digest=facts.schema_digest,
        message_sha256=answered.message_sha256,
        sender=facts.sender or None,
        sender_domain=facts.sender_domain or None,
        subject_sha256=facts.subject_sha256,
        numeric=tuple(map(float, answered.numeric)),
        text_statistics=facts.text_statistics,
        probability=answered.probability,
        threshold=facts.threshold,
        label=answered.label,
        latency_seconds=answered.latency_seconds,
        defaulted_features=facts.defaulted_features,
        shadow_of=answered.shadow_of,
    )


def line(prediction: NewPrediction) -> bytes:
    """Returns the line of a row: the CRC-32 of its JSON in hex, a blank, the JSON, a line feed."""
    document = _SERIALIZER.to_json(prediction)
    return b"%08x %b\n" % (zlib.crc32(document), document)


def prediction_of(text: bytes) -> NewPrediction | None:
    """Returns the row of a line, or None if the line is torn, damaged, or of another form."""
    if not text.endswith(b"\n") or len(text) <= _HEAD:
        return None
    document = text[_HEAD:-1]
    if text[:_HEAD] != b"%08x " % zlib.crc32(document):
        return None
    try:
        found: NewPrediction = _VALIDATOR.validate_json(document)
    except ValidationError:
        return None
    return found
