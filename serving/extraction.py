"""What `spam-detector` needs before its model: an e-mail to text, 16 + 8 numbers and facts of the text.

The transformer, the scorer and batch scoring all come through here, and below it through `feature_repo`, as
training does. Nothing here waits for anything: the sender's history is looked up by the caller, who knows how
long it may take, and handed to `model_inputs`.

Errors::

    CallerError
    └── EmailRefused   422  a structured e-mail that is none; its faults are named, its content is not
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from contracts.emails import StructuredEmail
from contracts.features import MESSAGE_FEATURES
from contracts.tensors import PREDICTOR_INPUTS
from feature_repo.addresses import address
from feature_repo.events import subject_sha256
from feature_repo.message import Message, MessageLimits, parse
from feature_repo.message_features import TextStatistics, extract
from feature_repo.numeric import numeric
from feature_repo.sender_numbers import unknown_senders
from feature_repo.settings import FeatureRepoSettings
from feature_repo.structured_mail import compose
from kit.errors import CallerError

TEXT: Final = PREDICTOR_INPUTS[0].name
NUMERIC: Final = PREDICTOR_INPUTS[1].name

_NUMBERS: Final = len(MESSAGE_FEATURES)
_FIELDS: Final = frozenset(field.alias or name for name, field in StructuredEmail.model_fields.items())


class EmailRefused(CallerError):
    """A structured e-mail that cannot be read."""

    status = 422
    code = "email_refused"
    title = "Not a structured e-mail"

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            next_step="Send a raw RFC 5322 message, or JSON with subject, from, to, body, html and headers.",
        )


@dataclass(frozen=True, slots=True)
class Extracted:
    """What one e-mail alone decides; it can be pickled, and holds nothing of the message but its tokens."""

    text: str
    """Tokens with single spaces between: valid UTF-8 without NUL."""
    numbers: NDArray[np.float32]
    """Float32 [16], in the order of MESSAGE_FEATURES."""
    statistics: TextStatistics
    sender: str
    """The From address in lower case: whose history is to be looked up. Empty if there is none, or none that
    can have a history."""
    sender_domain: str
    """What stands in it after the @, or empty."""
    subject_sha256: str | None
    """As sender events have it (`feature_repo.events`); None without a subject."""


def extract_raw(raw: bytes, settings: FeatureRepoSettings) -> Extracted:
    """Returns what `raw` (RFC 5322, or anything else) decides; about 1 ms, and never raises."""
    return _extracted(parse(raw, _limits(settings)), settings)


def extract_structured(email: StructuredEmail, settings: FeatureRepoSettings) -> Extracted:
    """Returns what a structured e-mail decides; never raises."""
    message = compose(
        subject=email.subject or email.header("subject"),
        sender=email.sender or email.header("from"),
        to=[*(email.to or _given(email.header("to"))), *(email.cc or _given(email.header("cc")))],
        reply_to=email.reply_to or email.header("reply-to"),
        text=email.body,
        html=email.html,
        attachments=email.attachments,
        limits=_limits(settings),
    )
    return _extracted(message, settings)


def extract_element(data: bytes, settings: FeatureRepoSettings) -> Extracted:
    """Returns what one element of the `email` tensor decides.

    An element that begins with `{`, which no header does, is a structured e-mail; any other is a raw message.

    Raises:
        EmailRefused: it begins with `{` and is no structured e-mail.
    """
    if data[:64].lstrip()[:1] == b"{":
        return extract_structured(structured(data, settings), settings)
    return extract_raw(data, settings)


def structured(data: bytes, settings: FeatureRepoSettings) -> StructuredEmail:
    """Returns the structured e-mail that `data` holds as JSON.

    Raises:
        EmailRefused: it is larger than a message may be, no JSON, or has other fields; each fault is named.
    """
    if len(data) > settings.message_max_bytes:
        raise EmailRefused(
            f"The structured e-mail has {len(data)} bytes, and {settings.message_max_bytes} are read at most."
        )
    try:
        return StructuredEmail.model_validate_json(data)
    except ValidationError as exc:
        faults = [
            f"{_place(fault['loc'])}: {fault['msg']}"
            for fault in exc.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise EmailRefused(f"Not a structured e-mail: {'; '.join(faults[:5])}.") from None


def model_inputs(
    messages: Sequence[Extracted], senders: NDArray[np.float32] | None = None
) -> dict[str, NDArray[np.object_] | NDArray[np.float32]]:
    """Returns the model's inputs by name: `text`, object [N, 1] of str, and `numeric`, float32 [N, 24].

    `senders` is float32 [N, 8] of the senders' history; without it every sender is unknown.
    """
    count = len(messages)
    texts = np.array([message.text for message in messages], dtype=object).reshape(count, 1)
    numbers = np.array([message.numbers for message in messages], dtype=np.float32).reshape(count, _NUMBERS)
    return {TEXT: texts, NUMERIC: numeric(numbers, unknown_senders(count) if senders is None else senders)}


def _extracted(message: Message, settings: FeatureRepoSettings) -> Extracted:
    features = extract(message, max_tokens=settings.message_max_tokens)
    sender = address(message.sender)
    return Extracted(
        text=features.text,
        numbers=features.numeric,
        statistics=features.text_statistics,
        sender=sender.sender,
        sender_domain=sender.domain,
        subject_sha256=subject_sha256(message.subject) if message.subject else None,
    )


def _place(steps: tuple[int | str, ...]) -> str:
    """Returns the name of the wrong field; one that is not ours may be anything, and is not told."""
    if not steps:
        return "the document"
    return str(steps[0]) if steps[0] in _FIELDS else "an unknown field"


def _limits(settings: FeatureRepoSettings) -> MessageLimits:
    return MessageLimits(settings.message_max_bytes, settings.message_max_parts, settings.message_max_depth)


def _given(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
