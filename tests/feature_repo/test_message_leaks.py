"""What tells where and when a message was collected reaches no feature: neither the text nor a number."""

import random
import re
from collections.abc import Callable
from functools import cache

import pytest

from feature_repo.message import parse
from feature_repo.message_features import extract

LEAKING_HEADERS = (
    "List-Id", "List-Post", "List-Help", "List-Archive", "List-Subscribe", "List-Unsubscribe",
    "List-Owner", "Precedence", "Sender", "X-BeenThere", "Mailing-List", "X-Mailman-Version", "Errors-To",
    "X-Loop", "Delivered-To", "X-Original-To", "Return-Path", "Received", "Message-ID", "In-Reply-To",
    "References", "X-Mailer", "User-Agent", "X-MimeOLE", "X-MSMail-Priority", "X-Priority",
    "Thread-Index", "Organization", "Date", "X-Spam-Status", "X-Spam-Level", "X-Pyzor",
    "X-Originating-IP", "X-Apparently-To", "Lines", "Status",
)  # fmt: skip
SAMPLE = 100

pytestmark = pytest.mark.xdist_group("leaks")  # what was extracted once is not extracted by two workers

Features = tuple[str, bytes]


@cache
def features_of(raw: bytes) -> Features:
    """Returns everything a model gets of `raw`, comparable bit by bit; made once for each message."""
    features = extract(parse(raw))
    return features.text, features.numeric.tobytes()


def head_and_body(raw: bytes) -> tuple[bytes, bytes]:
    """Returns the headers with their last line end, and the rest."""
    head, _, body = raw.partition(b"\n\n")
    return head + b"\n", body


def values_of(head: bytes, name: str) -> list[bytes]:
    """Returns the lines of every header `name`, continuation lines included."""
    return re.findall(rb"(?im)^" + name.encode() + rb":[^\n]*\n(?:[ \t][^\n]*\n)*", head)


def without(head: bytes, name: str) -> bytes:
    """Returns `head` without the headers `name`."""
    return re.sub(rb"(?im)^" + name.encode() + rb":[^\n]*\n(?:[ \t][^\n]*\n)*", b"", head)


@pytest.fixture(scope="module")
def by_class(raw_messages: list[tuple[bytes, str]]) -> dict[str, list[tuple[bytes, bytes]]]:
    """Heads and bodies of sound messages with LF line ends, a sample of each class."""
    chosen = random.Random(7)
    found: dict[str, list[tuple[bytes, bytes]]] = {"ham": [], "spam": []}
    for raw, label in chosen.sample(raw_messages, len(raw_messages)):
        if b"\r" not in raw and b"\n\n" in raw and len(found[label]) < SAMPLE:
            found[label].append(head_and_body(raw))
    return found


# Tracing thousands of messages for coverage costs as much as reading them; other tests take the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize("name", LEAKING_HEADERS)
def test_a_header_shuffled_between_the_classes_changes_no_feature(
    name: str, by_class: dict[str, list[tuple[bytes, bytes]]]
) -> None:
    """Each spam gets the header of a ham and each ham that of a spam: the features stay bit for bit."""
    for label, other in (("ham", "spam"), ("spam", "ham")):
        donors = [lines for head, _ in by_class[other] if (lines := values_of(head, name))]
        # A header that one class never has in the sample is planted in it.
        donors = donors or [[f"{name}: planted by the {other} collector\n".encode()]]
        for number, (head, body) in enumerate(by_class[label]):
            shuffled = without(head, name) + b"".join(donors[number % len(donors)])
            assert features_of(shuffled + b"\n" + body) == features_of(head + b"\n" + body)


def test_a_header_that_is_read_does_change_features(by_class: dict[str, list[tuple[bytes, bytes]]]) -> None:
    """The other side: the same shuffle of the subject is seen, so the test above can fail."""
    subjects = [values_of(head, "Subject") for head, _ in by_class["spam"]]
    changed = 0
    for (head, body), lines in zip(by_class["ham"], subjects, strict=True):
        shuffled = without(head, "Subject") + b"".join(lines)
        changed += features_of(shuffled + b"\n" + body) != features_of(head + b"\n" + body)
    assert changed > SAMPLE * 0.9


def test_the_words_of_boundaries_change_no_feature(by_class: dict[str, list[tuple[bytes, bytes]]]) -> None:
    """A MIME boundary tells the program that wrote it."""
    renamed = 0
    for head, body in by_class["ham"] + by_class["spam"]:
        raw = head + b"\n" + body
        boundary = re.search(rb"boundary=\"([^\"]{8,})\"", head)
        if boundary is None:
            continue
        renamed += 1
        other = raw.replace(boundary[1], b"zzzz-spamassassin-boundary")
        assert features_of(other) == features_of(raw)
    assert renamed > 5


FOOTERS = {
    "mailman": """
_______________________________________________
Foo-talk mailing list
Foo-talk@lists.foo.example
https://lists.foo.example/mailman/listinfo/foo-talk
""",
    "sponsored": """
-------------------------------------------------------
This foo.net email is sponsored by: Bar
Welcome to bar heaven.
http://bar.example/foo
_______________________________________________
Foo-users mailing list
Foo-users@lists.foo.example
https://lists.foo.example/lists/listinfo/foo-users
""",
    "group": """
------------------------ Foo! Groups Sponsor ---------------------~-->
Four DVDs, join now
http://us.click.example/x
---------------------------------------------------------------------~->

To unsubscribe from this group, send an email to:
foo-unsubscribe@egroups.example
""",
    "signature": """
--\x20
Foo Users' Group: foo@foo.example
http://foo.example/mailman/listinfo/foo for (un)subscription information.
List maintainer: m@foo.example
""",
    "quoted": """
> _______________________________________________
> Foo mailing list
> Foo@foo.example
> http://foo.example/mailman/listinfo/foo
""",
}


@pytest.mark.parametrize("footer", FOOTERS.values(), ids=FOOTERS)
def test_the_footer_of_a_list_server_leaves_no_word(footer: str) -> None:
    """A planted footer leaves the text as it was."""
    raw = b"Subject: x\n\nI think so too.\nBob\n"
    assert extract(parse(raw + footer.encode())).text == extract(parse(raw)).text


@pytest.mark.parametrize(
    "ending",
    [
        "\n-- \nBob Smith\nHead of sales\n",
        "\n-----------------------------\nTo be removed from future mailings click here\n",
        "\n=============================\nOrder now\n",
    ],
)
def test_an_ending_that_no_list_server_wrote_stays(ending: str) -> None:
    """Signatures, and what spammers write below a line, are content."""
    raw = b"Subject: x\n\nI think so too.\n"
    assert len(extract(parse(raw + ending.encode())).text) > len(extract(parse(raw)).text) + 8


@pytest.mark.parametrize(
    "plant",
    [
        lambda raw: raw.replace(b"Subject: ", b"Subject: [ILUG] ", 1),
        lambda raw: raw.replace(b"Subject: ", b"Subject: [zzzzteana] [2] ", 1),
        lambda raw: raw.replace(b"one@a.example", b"zzzz@spamassassin.taint.org"),
        lambda raw: raw.replace(b"http://a.example", b"http://spamassassin.taint.org/zzzz"),
        lambda raw: raw.replace(b"www.a.example", b"lists.taint.org"),
        lambda raw: raw.replace(b"22 Aug 2002", b"7 Oct 2019"),
        lambda raw: raw.replace(b"18:26:25", b"01:02:03"),
    ],
    ids=["tag", "two tags", "address", "link", "host", "date", "time"],
)
def test_planted_marks_of_a_collector_change_no_text(plant: Callable[[bytes], bytes]) -> None:
    """Tags, addresses, hosts and dates become nothing or a placeholder, whatever they say."""
    raw = (
        b"From: bob@b.example\nTo: carol@c.example\nSubject: lunch\n\n"
        b"On Thu, 22 Aug 2002 at 18:26:25 one@a.example wrote: see http://a.example/x or www.a.example\n"
    )
    planted = plant(raw)
    assert planted != raw
    assert features_of(planted)[0] == features_of(raw)[0]


def test_the_line_above_a_quotation_keeps_neither_name_nor_date() -> None:
    """Who is quoted is a person of the list; that someone is quoted is a sign of conversation."""
    raw = b"Subject: x\n\nOn Thu, 22 Aug 2002, Justin Mason wrote:\n> yes, he wrote: it\nno\n"
    assert extract(parse(raw)).text == "x wrote yes he wrote it no"


def test_the_name_a_message_is_addressed_to_is_a_placeholder() -> None:
    """A collector's own name in the greeting tells nothing but that the message greets by address."""
    raw = b"From: x@b.example\nTo: %s@host.example\nSubject: x\n\nDear %s, dear Customer\n"
    texts = {extract(parse(raw % (name, name))).text for name in (b"zzzz", b"jmason", b"yyyy", b"carol")}
    assert texts == {"x dear _recipient dear customer"}


def test_no_token_of_the_corpus_holds_a_number_an_address_or_a_host(
    raw_messages: list[tuple[bytes, str]],
) -> None:
    """Years, times, addresses, hosts and boundaries cannot be learned by their letters."""
    for raw, _ in raw_messages[::20]:
        text = extract(parse(raw)).text
        assert re.search(r"[0-9@/:.]", text) is None
