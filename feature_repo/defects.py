"""The violations of the mail standards that parsing meets and counts; none of them stops it."""

from collections import Counter
from enum import StrEnum


class Defect(StrEnum):
    """One kind of violation; also the label `defect` of the metric `sluice_message_defects_total`."""

    TRUNCATED = "truncated"
    """The message is longer than the limit; the rest was not read."""
    TOO_MANY_PARTS = "too_many_parts"
    """More MIME parts than the limit; the rest was not read."""
    TOO_DEEP = "too_deep"
    """MIME parts nested deeper than the limit; what lies deeper was not read."""
    HTML_TOO_LONG = "html_too_long"
    """An HTML part longer than what is rendered; the rest was not read."""
    HEADER_TOO_LONG = "header_too_long"
    """A header that is read is longer than what is read of it."""
    NO_SEPARATOR = "no_separator"
    """Headers that run into the body without an empty line."""
    NO_BOUNDARY = "no_boundary"
    """A multipart that names no boundary, or whose boundary never comes."""
    UNCLOSED_MULTIPART = "unclosed_multipart"
    """A multipart that ends without its closing boundary."""
    CONTENT_TYPE = "content_type"
    """A Content-Type that is not type/subtype."""
    TRANSFER_ENCODING = "transfer_encoding"
    """A Content-Transfer-Encoding that does not exist."""
    BASE64 = "base64"
    """Base64 with foreign characters, or cut short."""
    QUOTED_PRINTABLE = "quoted_printable"
    """Quoted-printable with an equals sign that encodes nothing."""
    CHARSET = "charset"
    """A charset that does not exist, or that the bytes contradict."""
    HTML_AS_PLAIN = "html_as_plain"
    """An HTML document that is declared as plain text."""
    RAW_HEADER = "raw_header"
    """A header with raw 8-bit characters."""
    ENCODED_WORD = "encoded_word"
    """An encoded word (RFC 2047) that cannot be decoded."""
    ADDRESS = "address"
    """A From header without an address in it."""


Defects = Counter[Defect]
"""How often each kind was met."""
