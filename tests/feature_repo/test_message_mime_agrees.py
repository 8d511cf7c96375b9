"""Our MIME reader and the standard library agree on every message of the corpus, or the difference is named.

Named differences, all on purpose:

* `message/delivery-status` is one leaf here, and a row of header blocks there; an attached `message/rfc822`
  is one attachment here and is opened there; a multipart without its boundary is plain text here.
* An address must have something before its @ here, and no blank in it;
  one with two @ is kept here and dropped there; where several addresses stand in From, the one in angle
  brackets is taken here, and the first word there; raw 8-bit characters are guessed here, and lost there.
* A body in base64 ends here where a list server appended its footer, and the footer is decoded there.
* Dates outside 1990 to 2100 are None here.
"""

import email
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message as StandardMessage
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from functools import cache

import pytest

from feature_repo import transfer
from feature_repo.defects import Defect, Defects
from feature_repo.message import Message, parse
from feature_repo.mime import Reader

# Tracing 6,046 messages for coverage costs as much as reading them, and other tests take the same lines.
pytestmark = [pytest.mark.xdist_group("mime"), pytest.mark.no_cover]

Pair = tuple[bytes, StandardMessage, Message]


@cache
def read(raw: bytes) -> Pair:
    """Returns a message raw, as the standard library parses it, and as we do; made once for each message."""
    return raw, email.message_from_bytes(raw), parse(raw)


@pytest.fixture
def pairs(raw_messages: list[tuple[bytes, str]]) -> Iterator[Pair]:
    """Every message of the corpus; read in the test, so that the reading is not traced either."""
    return (read(raw) for raw, _ in raw_messages)


def leaves_of(message: StandardMessage) -> Iterator[StandardMessage]:
    """Yields the leaf parts as the standard library sees them, delivery reports and attachments whole."""
    attached = str(message.get("Content-Disposition", "")).strip().lower().startswith("attachment")
    kind = message.get_content_type()
    whole = kind == "message/delivery-status" or (kind == "message/rfc822" and attached)
    if message.is_multipart() and not whole:
        for part in message.get_payload():
            assert isinstance(part, StandardMessage)
            yield from leaves_of(part)
    else:
        yield message


def words_of(payload: bytes) -> list[bytes]:
    """Returns what stands in `payload` between white space: line ends are LF here and as they came there."""
    return payload.split()


def test_structure_and_payloads_agree(pairs: Iterator[Pair]) -> None:
    """The same leaves of the same types, and the same bytes in every text leaf."""
    differing = []
    for number, (raw, standard, _) in enumerate(pairs):
        defects = Defects()
        buffer = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        reader = Reader(buffer, max_parts=100, max_depth=10, defects=defects)
        expected = list(leaves_of(standard))
        kinds = [leaf.get_content_type() for leaf in expected]
        if kinds != [leaf.kind for leaf in reader.leaves]:
            if not defects.keys() & {Defect.NO_BOUNDARY, Defect.CONTENT_TYPE}:
                differing.append((number, kinds))
            continue
        for theirs, ours in zip(expected, reader.leaves, strict=True):
            if ours.is_attachment:
                continue
            payload = theirs.get_payload(decode=True)
            assert isinstance(payload, bytes)
            met = Defects()
            read = transfer.decoded(buffer[ours.start : ours.end], ours.encoding, met)
            if words_of(payload) != words_of(read) and Defect.BASE64 not in met:
                differing.append((number, kinds))
    assert differing == []


def test_subjects_agree(pairs: Iterator[Pair]) -> None:
    """Decoded subjects are equal wherever the header is sound."""
    differing = []
    for _, standard, ours in pairs:
        value = standard.get("Subject")
        if not isinstance(value, str) or ours.defects.keys() & {Defect.RAW_HEADER, Defect.CHARSET}:
            continue
        theirs = str(make_header(decode_header(value.replace("\n", " "))))
        # The standard library reads ISO-8859-1 by the letter, and browsers and we as Windows-1252.
        theirs = theirs.replace("\x99", "\u2122")
        if theirs.split() != ours.subject.split():
            differing.append((theirs, ours.subject))
    assert differing == []


def test_senders_agree(pairs: Iterator[Pair]) -> None:
    """The From address is equal wherever the standard library finds one mailbox in ASCII."""
    differing = []
    for _, standard, message in pairs:
        value = standard.get("From")
        if not isinstance(value, str) or len(getaddresses([value])) > 1:
            continue
        theirs = parseaddr(value)[1].lower()
        ours = message.sender
        if theirs != ours and theirs:
            differing.append((value, theirs, ours))
    assert differing == []


def test_recipients_agree(pairs: Iterator[Pair]) -> None:
    """The same addresses of To and Cc in the same order, wherever they are ASCII and have a local part."""
    differing = []
    for _, standard, message in pairs:
        values = [value for name in ("To", "Cc") for value in standard.get_all(name, [])]
        if not all(isinstance(value, str) for value in values):
            continue
        found = [address.lower() for _, address in getaddresses(values)]
        theirs = [address for address in found if address.rpartition("@")[0] and " " not in address]
        ours = [address for address in message.recipients if '"' in address or address.count("@") == 1]
        if theirs != ours:
            differing.append((values, theirs, ours))
    assert differing == []


def test_dates_agree(pairs: Iterator[Pair]) -> None:
    """The same instant, wherever the standard library reads a date of the years we believe."""
    for _, standard, message in pairs:
        try:
            theirs = parsedate_to_datetime(str(standard.get("Date")))
        except (ValueError, TypeError):
            continue
        ours = message.date
        if not 1990 <= theirs.year <= 2100:
            assert ours is None
        elif theirs.tzinfo is not None:
            assert ours == theirs
