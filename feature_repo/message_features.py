"""A message to its features: the token text and the 16 numbers that the message alone decides.

Training and serving call the same `extract`. The numbers, their order and their bounds are
`contracts.features.MESSAGE_FEATURES`; docs/message-features.md says why each token is what it is.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.features import MAX_TOKENS, MESSAGE_FEATURES
from feature_repo.deobfuscation import deobfuscated
from feature_repo.message import Message
from feature_repo.tokens import dated, shouts, words
from feature_repo.traces import bare_subject, without_attributions, without_footers

_LOW: Final = tuple(feature.low for feature in MESSAGE_FEATURES)
_HIGH: Final = tuple(feature.high for feature in MESSAGE_FEATURES)
_PUNCTUATION: Final = re.compile(r"[!?$£€¥%]")
_NAME_WORD: Final = re.compile(r"[^\W\d_]{3,32}")
# Characters of text that are looked at for each token that is kept: more than the longest token and a space.
_CHARACTERS_PER_TOKEN: Final = 40
_MAX_SIGNS: Final = 200


@dataclass(frozen=True, slots=True)
class TextStatistics:
    """Facts of the token text that are safe to keep: they do not tell what was written."""

    token_count: int
    character_count: int
    unique_share: float
    placeholder_share: float


@dataclass(frozen=True, slots=True)
class MessageFeatures:
    """The features of one message; `numeric` is float32 [16], in the order of MESSAGE_FEATURES."""

    text: str
    numeric: NDArray[np.float32]
    text_statistics: TextStatistics


def extract(message: Message, *, max_tokens: int = MAX_TOKENS) -> MessageFeatures:
    """Returns the features of `message`.

    The text is lower-case tokens joined by single spaces: valid UTF-8 without NUL, at most `max_tokens`
    tokens, the subject's first. Every number is finite and inside its bounds.
    """
    subject = deobfuscated(message.subject)
    bare, is_reply = bare_subject(subject.text)
    longest = max_tokens * _CHARACTERS_PER_TOKEN
    body = deobfuscated(message.text[:longest])
    masks = _masks(message)
    tokens = words(bare.lower(), masks)
    tokens += _signs(message, body.text)
    tokens += words(without_attributions(without_footers(body.text[:longest].lower())), masks)
    del tokens[max_tokens:]
    text = dated(" ".join(tokens))
    return MessageFeatures(
        text=text,
        numeric=_numeric(message, bare, is_reply, subject.changed + body.changed),
        text_statistics=TextStatistics(
            token_count=len(tokens),
            character_count=len(text),
            unique_share=len(set(tokens)) / len(tokens) if tokens else 0.0,
            placeholder_share=f" {text}".count(" _") / len(tokens) if tokens else 0.0,
        ),
    )


def _masks(message: Message) -> dict[str, str]:
    """Returns the words that name the people of this message: the sender's, and the recipients' addresses.

    A greeting by the name in the address is a sign; whose name it is, is not.
    """
    masks: dict[str, str] = {}
    for address in message.recipients[:20]:
        for word in _NAME_WORD.findall(address.rpartition(".")[0]):
            masks[word] = "_recipient"
    for word in _NAME_WORD.findall(
        message.sender.rpartition(".")[0] + " " + message.sender_name[:200].lower()
    ):
        masks[word] = "_sender"
    return masks


def _signs(message: Message, visible: str) -> list[str]:
    """Returns placeholders for what is seen and is no word, once for each."""
    return (
        ["_shout"] * min(shouts(visible), _MAX_SIGNS)
        + ["_image"] * min(message.images, _MAX_SIGNS)
        + ["_form"] * min(message.forms, _MAX_SIGNS)
    )


def _numeric(message: Message, subject: str, is_reply: bool, changed: int) -> NDArray[np.float32]:
    local = message.sender.rpartition("@")[0]
    letters = sum(map(str.isalpha, subject))
    reply_to_domain = message.reply_to_domain
    recipients = len(message.recipients)
    values = (
        recipients,
        recipients == 0,
        len(subject),
        sum(map(str.isupper, subject)) / letters if letters else 0.0,
        len(_PUNCTUATION.findall(subject)),
        message.subject_is_encoded,
        is_reply,
        len(message.sender_name),
        sum(map(str.isdigit, local)) / len(local) if local else 0.0,
        bool(reply_to_domain) and reply_to_domain != message.sender_domain,
        message.parts,
        message.attachments,
        message.html_characters / message.text_characters if message.text_characters else 0.0,
        len(message.links),
        changed + message.hidden_characters,
        sum(message.defects.values()),
    )
    bounded = [min(max(value, low), high) for value, low, high in zip(values, _LOW, _HIGH, strict=True)]
    return np.array(bounded, dtype=np.float32)
