"""Raw bytes to a message: who, what, and what a reader sees. It never raises, whatever the bytes are.

A violation of the mail standards is counted and survived. Attachments are counted and never opened. Headers
of transport, of mailing lists and of mail programs are not read at all (`mime._READ_HEADERS` is the list of
those that are): what is not read cannot leak into a feature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from feature_repo import headers as header
from feature_repo.body import visible
from feature_repo.defects import Defect, Defects
from feature_repo.mime import Reader
from feature_repo.settings import FeatureRepoSettings


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """How much of a message is read; what lies beyond is counted as a defect."""

    max_bytes: int = 1 << 20
    max_parts: int = 100
    max_depth: int = 10

    @classmethod
    def of(cls, settings: FeatureRepoSettings) -> Self:
        """Returns the limits of these settings."""
        return cls(settings.message_max_bytes, settings.message_max_parts, settings.message_max_depth)


DEFAULT_LIMITS: Final = MessageLimits()


@dataclass(frozen=True, slots=True)
class Message:
    """One e-mail as a reader sees it."""

    subject: str = ""
    """Decoded, on one line, reply prefixes and list tags still in it."""
    subject_is_encoded: bool = False
    """The subject is written in encoded words."""
    sender: str = ""
    """The From address in lower case, or empty."""
    sender_name: str = ""
    """The name shown with the From address, or empty."""
    recipients: tuple[str, ...] = ()
    """The addresses of To and Cc in lower case, in order."""
    reply_to: str = ""
    """The Reply-To address in lower case, or empty."""
    date: datetime | None = None
    """The Date header in UTC; None without one to believe (1990 to 2100)."""
    text: str = ""
    """The visible text of all parts; of alternative versions, the HTML one."""
    html_characters: int = 0
    """Characters of `text` that come from HTML parts, blanks and line ends not counted."""
    text_characters: int = 0
    """Characters of `text`, blanks and line ends not counted."""
    hidden_characters: int = 0
    """Characters of HTML that a reader does not see: comments and hidden elements."""
    links: tuple[str, ...] = ()
    """Web links in text and in HTML, in lower case, in order, at most 1,000 of each part."""
    images: int = 0
    forms: int = 0
    parts: int = 0
    """MIME leaf parts."""
    attachments: int = 0
    """Leaf parts that are attached or are not text."""
    defects: Mapping[Defect, int] = field(default_factory=dict)
    """Violations of the mail standards, by kind."""

    @property
    def sender_domain(self) -> str:
        """The part of `sender` after the @, or empty."""
        return self.sender.rpartition("@")[2]

    @property
    def reply_to_domain(self) -> str:
        """The part of `reply_to` after the @, or empty."""
        return self.reply_to.rpartition("@")[2]


def parse(raw: bytes, limits: MessageLimits = DEFAULT_LIMITS) -> Message:
    """Returns the message that `raw` (RFC 5322, any line ends, or anything else) holds; never raises."""
    defects = Defects()
    if len(raw) > limits.max_bytes:
        raw = raw[: limits.max_bytes]
        defects[Defect.TRUNCATED] += 1
    buffer = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw
    reader = Reader(buffer, max_parts=limits.max_parts, max_depth=limits.max_depth, defects=defects)
    head = reader.headers
    subject = head.get(b"subject", [b""])[0]
    sender = header.mailbox(head[b"from"][0], defects) if b"from" in head else header.Mailbox("", "")
    reply_to = (
        header.mailbox(head[b"reply-to"][0], Defects()) if b"reply-to" in head else header.Mailbox("", "")
    )
    body = visible(buffer, reader.leaves, defects)
    return Message(
        subject=header.text_of(subject, defects),
        subject_is_encoded=b"=?" in subject,
        sender=sender.address,
        sender_name=sender.name,
        recipients=header.addresses(head.get(b"to", []) + head.get(b"cc", []), defects),
        reply_to=reply_to.address,
        date=header.date_of(head[b"date"][0]) if b"date" in head else None,
        text=body.text,
        text_characters=body.text_characters,
        html_characters=body.html_characters,
        hidden_characters=body.hidden_characters,
        links=body.links,
        images=body.images,
        forms=body.forms,
        parts=len(reader.leaves),
        attachments=sum(leaf.is_attachment for leaf in reader.leaves),
        defects=dict(defects),
    )
