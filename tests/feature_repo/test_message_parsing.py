"""Raw bytes to a message: what a reader sees comes out, whatever the encoding, and violations are counted."""

import base64
from datetime import UTC, datetime

import pytest

from feature_repo.defects import Defect
from feature_repo.message import Message, MessageLimits, parse


def mail(*lines: str | bytes) -> bytes:
    """Returns `lines` joined by CRLF."""
    return b"\r\n".join(line.encode("utf-8") if isinstance(line, str) else line for line in lines)


def test_a_plain_message_is_read_as_it_stands() -> None:
    """Every field of a simple message comes out, and nothing is counted as a defect."""
    message = parse(
        mail(
            "From: Ann Smith <Ann@Example.org>",
            'To: "Doe, Bob" <bob@example.com>, carol@example.com (Carol)',
            "Cc: dave@example.net",
            "Reply-To: <answers@example.org>",
            "Subject: Lunch on Friday?",
            "Date: Thu, 22 Aug 2002 18:26:25 +0700",
            "",
            "See http://Example.org/menu for the menu.",
        )
    )
    assert message == Message(
        subject="Lunch on Friday?",
        sender="ann@example.org",
        sender_name="Ann Smith",
        recipients=("bob@example.com", "carol@example.com", "dave@example.net"),
        reply_to="answers@example.org",
        date=datetime(2002, 8, 22, 11, 26, 25, tzinfo=UTC),
        text="See http://Example.org/menu for the menu.",
        text_characters=37,
        links=("http://example.org/menu",),
        parts=1,
    )
    assert message.sender_domain == "example.org"
    assert message.reply_to_domain == "example.org"


def test_nothing_at_all_is_an_empty_message() -> None:
    """No bytes make a message without text and without defects."""
    assert parse(b"") == Message(parts=1)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?ISO-8859-1?Q?Gr=FC=DFe_aus_K=F6ln?=", "Grüße aus Köln"),
        ("=?utf-8?Q?a?= =?utf-8?Q?b?= c", "ab c"),
        # One character cut in two between words, as mailers do.
        ("=?utf-8?B?w7w=?= =?utf-8?Q?=C3?=\r\n =?utf-8?Q?=BC?=", "üü"),
        ("=?iso-8859-1*de?Q?Gr=FCn?=", "Grün"),
        ("50 % =?utf-8?q?off=21?=", "50 % off!"),
        ("no =?word here", "no =?word here"),
    ],
)
def test_encoded_words_are_decoded(raw: str, expected: str) -> None:
    """Subjects in RFC 2047 words come out as text; white space between two words vanishes."""
    assert parse(mail(f"Subject: {raw}", "", "")).subject == expected


@pytest.mark.parametrize(
    "raw", ["=?x-no-such-charset?Q?hello?=", "=?utf-8?B?A?="], ids=["unknown charset", "broken base64"]
)
def test_an_encoded_word_that_cannot_be_decoded_is_counted(raw: str) -> None:
    """A broken word is a defect; a sound one is not."""
    assert parse(mail(f"Subject: {raw}", "", "")).defects[Defect.ENCODED_WORD] == 1
    assert not parse(mail("Subject: =?utf-8?Q?hello?=", "", "")).defects


def test_raw_8_bit_subjects_are_guessed_and_counted() -> None:
    """UTF-8 is tried first, then Windows-1252."""
    for raw in ("Café".encode(), "Café".encode("latin-1")):
        message = parse(b"Subject: " + raw + b"\n\n")
        assert message.subject == "Café"
        assert message.defects == {Defect.RAW_HEADER: 1}


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("bob@example.com", "", "bob@example.com"),
        ("<bob@example.com>", "", "bob@example.com"),
        ('"Bob \\"B\\" Smith" <bob@example.com>', 'Bob "B" Smith', "bob@example.com"),
        ("bob@example.com (Bob Smith)", "Bob Smith", "bob@example.com"),
        ("Smith, Bob <bob@example.com>", "Smith, Bob", "bob@example.com"),
        ('"bob@elsewhere.org" <bob@example.com>', "bob@elsewhere.org", "bob@example.com"),
        ("=?utf-8?Q?J=C3=B6rg?= <j@example.com>", "Jörg", "j@example.com"),
        ('"odd local"@example.com', "", ""),
        ('"odd.local"@example.com', "", '"odd.local"@example.com'),
    ],
)
def test_the_sender_is_the_first_mailbox_of_from(value: str, name: str, address: str) -> None:
    """Name and address are told apart in every common spelling."""
    message = parse(mail(f"From: {value}", "", ""))
    assert message.sender == address
    if address:
        assert message.sender_name == name


def test_a_from_without_address_is_counted_and_its_text_is_the_name() -> None:
    """Nothing is guessed as an address."""
    message = parse(mail("From: The Management", "", ""))
    assert (message.sender, message.sender_name) == ("", "The Management")
    assert message.defects == {Defect.ADDRESS: 1}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sun, 01 Jan 2023 00:30:00 +0100", datetime(2022, 12, 31, 23, 30, tzinfo=UTC)),
        ("Thu Aug 22 13:17:22 2002", datetime(2002, 8, 22, 13, 17, 22, tzinfo=UTC)),
        ("Thu, 29 Aug 0102 19:49:31 +0300", None),
        ("Fri, 31 Dec 1989 23:59:59 +0000", None),
        ("Mon, 1 Jan 2101 00:00:00 +0000", None),
        ("Thu, 32 Aug 2002 19:49:31 +0300", None),
        ("Thu, 22 Aug 2002 13:17:22 +99999999999999999999", None),
        ("9" * 500, None),
        ("", None),
    ],
)
def test_a_date_is_believed_between_1990_and_2100_only(value: str, expected: datetime | None) -> None:
    """An unbelievable date is None, and no defect: dates must not reach a feature."""
    message = parse(mail(f"Date: {value}", "", ""))
    assert message.date == expected
    assert not message.defects


def test_the_html_version_of_alternatives_is_what_is_seen() -> None:
    """Mail programs show the HTML version, so the plain one is neither read twice nor believed."""
    message = parse(
        mail(
            'Content-Type: multipart/alternative; boundary="b"',
            "",
            "preamble",
            "--b",
            "Content-Type: text/plain",
            "",
            "plain words",
            "--b",
            "Content-Type: text/html",
            "",
            "<p>html words</p>",
            "--b--",
            "epilogue",
        )
    )
    assert message.text.split() == ["html", "words"]
    assert (message.parts, message.attachments, message.html_characters) == (2, 0, 9)
    assert not message.defects


def test_the_plain_version_is_seen_when_the_html_one_is_empty() -> None:
    """An HTML version without words does not hide the plain one."""
    message = parse(
        mail(
            "Content-Type: multipart/alternative; boundary=b",
            "",
            "--b",
            "",
            "plain words",
            "--b",
            "Content-Type: text/html",
            "",
            "<img src=x>",
            "--b--",
        )
    )
    assert message.text.split() == ["plain", "words"]


def test_nested_multiparts_and_forwarded_messages_are_read() -> None:
    """Text inside multiparts inside a forwarded message is seen; attachments are counted and not opened."""
    message = parse(
        mail(
            "Content-Type: multipart/mixed; boundary=outer",
            "",
            "--outer",
            "Content-Type: message/rfc822",
            "",
            "Subject: inner",
            "Content-Type: multipart/related; boundary=inner",
            "",
            "--inner",
            "Content-Type: text/plain",
            "",
            "deep words",
            "--inner",
            "Content-Type: image/png",
            "",
            "not opened",
            "--inner--",
            "--outer",
            "Content-Type: text/plain; name=notes.txt",
            "Content-Disposition: attachment; filename=notes.txt",
            "",
            "attached words",
            "--outer--",
        )
    )
    assert message.text.split() == ["deep", "words"]
    assert (message.parts, message.attachments) == (3, 2)
    assert message.subject == ""


@pytest.mark.parametrize(
    ("charset", "payload", "expected", "lies"),
    [
        ("utf-8", "naïve".encode(), "naïve", False),
        ("iso-8859-1", "naïve".encode("latin-1"), "naïve", False),
        ("iso-8859-1", "“naïve”".encode("cp1252"), "“naïve”", False),
        ("koi8-r", "привет".encode("koi8-r"), "привет", False),
        ("iso-2022-jp", "日本".encode("iso-2022-jp"), "日本", False),
        ("us-ascii", "naïve".encode(), "naïve", True),
        ("us-ascii", "naïve".encode("latin-1"), "naïve", True),
        ("iso-8859-1", "naïve".encode(), "naïve", True),
        ("utf-8", "naïve".encode("latin-1"), "naïve", True),
        ("big5", "你好嗎".encode("big5") * 9 + b"\xff", "你好嗎" * 9 + "\ufffd", True),
        ("x-no-such-charset", "naïve".encode(), "naïve", True),
        ("x-no-such-charset", b"plain", "plain", True),
        ("punycode", b"Mnchen-3ya", "Mnchen-3ya", True),
        ("unicode_escape", rb"\u0041", r"\u0041", True),
        ("zlib", b"plain", "plain", True),
        ("utf-7", b"+2AA-", "?", False),
    ],
)
def test_a_charset_that_lies_is_seen_through_and_counted(
    charset: str, payload: bytes, expected: str, lies: bool
) -> None:
    """The text comes out by what the bytes are; a true charset is no defect."""
    message = parse(mail(f"Content-Type: text/plain; charset={charset}", "", payload))
    assert message.text == expected
    assert message.defects == ({Defect.CHARSET: 1} if lies else {})


def test_html_may_declare_its_charset_itself() -> None:
    """Without a charset in the header, the one in the document counts."""
    html = '<meta http-equiv=Content-Type content="text/html; charset=windows-1251"><p>привет'
    message = parse(mail("Content-Type: text/html", "", html.encode("cp1251")))
    assert message.text.strip() == "привет"
    assert not message.defects


def encoded(encoding: str, payload: str | bytes) -> Message:
    """Returns the parsed message whose body is `payload` in a transfer encoding."""
    return parse(
        mail("Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}", "", payload)
    )


LETTER = base64.encodebytes(
    b"A letter that is long enough for more than a line of base64, is it not? Yes."
).decode()


@pytest.mark.parametrize(
    ("payload", "seen", "broken"),
    [
        (LETTER, "A letter that is long enough for more than a line of base64, is it not? Yes.", False),
        ("aGVsbG8", "hello", True),
        ("aGVsbG8gd29ybGQhx", "hello world!", True),
        ("aGVs*bG8gd29y\nbGQh" + "IQ" * 20, "hello world!", True),
        (LETTER + "_____\nA list footer\n", "A letter that is long enough", True),
    ],
    ids=["sound", "no padding", "one character too many", "foreign character", "footer"],
)
def test_broken_base64_is_read_as_far_as_it_goes(payload: str, seen: str, broken: bool) -> None:
    """What can be decoded is, and broken base64 is one defect."""
    message = encoded("base64", payload)
    assert message.text.startswith(seen)
    assert message.defects.get(Defect.BASE64, 0) == int(broken)


def test_a_footer_after_base64_stays_readable() -> None:
    """What a list server appends in plain text does not become noise."""
    assert encoded("base64", LETTER + "_____\nA list footer\n").text.endswith("_____\nA list footer\n")


@pytest.mark.parametrize(
    ("payload", "seen", "broken"),
    [
        ("caf=C3=A9 =\r\nau lait", "café au lait", False),
        ("caf=e9", "café", False),
        ("a = b, 100=% =ZZ", "a = b, 100=% =ZZ", True),
    ],
    ids=["sound", "lower case hex", "nothing encoded"],
)
def test_broken_quoted_printable_is_kept_as_it_is(payload: str, seen: str, broken: bool) -> None:
    """An equals sign that encodes nothing stays, and is one defect."""
    message = encoded("quoted-printable", payload)
    assert message.text == seen
    assert message.defects.get(Defect.QUOTED_PRINTABLE, 0) == int(broken)


@pytest.mark.parametrize(
    ("raw", "defect"),
    [
        (mail("Subject: x", "this is no header", "body"), Defect.NO_SEPARATOR),
        (mail("Content-Type: multipart/mixed", "", "body"), Defect.NO_BOUNDARY),
        (mail("Content-Type: multipart/mixed; boundary=b", "", "body"), Defect.NO_BOUNDARY),
        (mail("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "body"), Defect.UNCLOSED_MULTIPART),
        (mail("Content-Type: nonsense", "", "body"), Defect.CONTENT_TYPE),
        (mail("Content-Transfer-Encoding: x-secret", "", "body"), Defect.TRANSFER_ENCODING),
        (mail("Subject: " + "x" * 20_000, "", "body"), Defect.HEADER_TOO_LONG),
        (mail("Content-Type: text/plain", "", "<html><body>body"), Defect.HTML_AS_PLAIN),
    ],
)
def test_a_violation_is_counted_once_and_the_body_is_seen(raw: bytes, defect: Defect) -> None:
    """Every kind of defect has a message that shows it alone, and its text still comes out."""
    message = parse(raw)
    assert message.defects == {defect: 1}
    assert "body" in message.text


def test_bytes_beyond_the_limit_are_not_read() -> None:
    """A message as long as the limit is whole; one byte more is cut and counted."""
    raw = mail("Subject: x", "", "y" * 100)
    whole = parse(raw, MessageLimits(max_bytes=len(raw)))
    cut = parse(raw, MessageLimits(max_bytes=len(raw) - 1))
    assert (len(whole.text), whole.defects) == (100, {})
    assert (len(cut.text), cut.defects) == (99, {Defect.TRUNCATED: 1})


def test_parts_beyond_the_limit_are_not_read() -> None:
    """As many parts as the limit are read; one more is counted as a defect."""
    raw = mail("Content-Type: multipart/mixed; boundary=b", "", *["--b\r\n\r\nword"] * 5, "--b--")
    whole = parse(raw, MessageLimits(max_parts=5))
    cut = parse(raw, MessageLimits(max_parts=4))
    assert (whole.parts, whole.text.split(), whole.defects) == (5, ["word"] * 5, {})
    assert (cut.parts, cut.text.split(), cut.defects) == (4, ["word"] * 4, {Defect.TOO_MANY_PARTS: 1})


def nested(levels: int) -> bytes:
    """Returns a message of multiparts inside each other, a word in the innermost."""
    lines = []
    for level in range(levels):
        lines += [f"Content-Type: multipart/mixed; boundary=b{level}", "", f"--b{level}"]
    lines += ["Content-Type: text/plain", "", "word"]
    lines += [f"--b{level}--" for level in reversed(range(levels))]
    return mail(*lines)


def test_parts_deeper_than_the_limit_are_not_read() -> None:
    """As many levels as the limit are read; one more is counted as a defect."""
    assert parse(nested(3), MessageLimits(max_depth=3)).text == "word"
    deep = parse(nested(4), MessageLimits(max_depth=3))
    assert (deep.text, deep.parts, deep.defects) == ("", 0, {Defect.TOO_DEEP: 1})


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(line_end: str) -> None:
    """LF, CRLF and CR part lines alike."""
    raw = line_end.join(["Subject: a", " b", "", "one", "two"]).encode()
    message = parse(raw)
    assert (message.subject, message.text) == ("a b", "one\ntwo")


def test_mbox_separators_are_no_headers() -> None:
    """A message that was kept in an mbox file begins with a line of its own, quoted or not."""
    for separator in (b"From a@b.c Thu Aug 22 13:17:22 2002\n", b">From a@b.c Thu Aug 22 13:17:22 2002\n"):
        message = parse(separator + b"Subject: x\n\nbody")
        assert (message.subject, message.text, message.defects) == ("x", "body", {})
