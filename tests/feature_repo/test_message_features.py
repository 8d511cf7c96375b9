"""A message to its features: hand-written messages with the exact text and numbers they must give."""

import numpy as np
import pytest

from contracts.features import MESSAGE_FEATURES
from feature_repo.message import Message, parse
from feature_repo.message_features import extract

SPAM = b"""From: "Best Deals 4U" <offers99@Deals.example>
Reply-To: grab@elsewhere.example
Subject: =?utf-8?Q?FREE_m=D0=BEney!!_100%?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<html><body><p>Dear friend,<p>CLICK <a href="http://10.1.2.3/x">h&#8203;ere</a> to win $5,000!
<div style="display:none">weather report</div><img src=x></body></html>
--b
Content-Type: application/zip
Content-Transfer-Encoding: base64

UEsDBA==
--b--
"""

HAM = b"""From: Ann Smith <ann@team.example>
To: dev@lists.example, Bob <bob@team.example>
Subject: Re: [dev] build 17 on Thu
Date: Thu, 22 Aug 2002 18:26:25 +0700
X-Mailer: anything
List-Id: <dev.lists.example>

Hi Bob, I'll look at http://ci.team.example/17 on 3 May.
Ann
_______________________________________________
dev mailing list
dev@lists.example
http://lists.example/mailman/listinfo/dev
"""

NAMES = [feature.name for feature in MESSAGE_FEATURES]


def numbers(message: Message) -> dict[str, float]:
    """Returns the numbers of `message` that are not zero, by name."""
    values = extract(message).numeric.tolist()
    return {name: value for name, value in zip(NAMES, values, strict=True) if value}


def test_the_features_of_a_spam_are_exactly_these() -> None:
    """Subject first, then signs, then the visible body; folded letters and hidden words are counted."""
    message = parse(SPAM)
    assert extract(message).text == (
        "free money _exclaim _exclaim _number _percent "
        "_shout _image "
        "dear friend click here to win _money _number _number _exclaim"
    )
    assert numbers(message) == {
        "recipient_is_hidden": 1,
        "subject_length": 17,
        "subject_uppercase_share": np.float32(4 / 9),
        "subject_punctuation_count": 3,
        "subject_is_encoded": 1,
        "sender_name_length": 13,
        "sender_digit_share": 0.25,
        "reply_to_differs": 1,
        "part_count": 2,
        "attachment_count": 1,
        "html_share": 1,
        "link_count": 1,
        # One Cyrillic letter in the subject, one zero-width space, and weatherreport.
        "obfuscation_count": 1 + 1 + 13,
    }


def test_the_features_of_a_list_message_are_exactly_these() -> None:
    """No text, and every number at its default but two: nobody is addressed, and one part is there."""
    message = parse(HAM)
    assert extract(message).text == (
        "build _number on _date hi _recipient ill look at _url on _number _date _sender"
    )
    assert numbers(message) == {
        "recipient_count": 2,
        "subject_length": 15,
        "subject_is_reply": 1,
        "subject_uppercase_share": np.float32(1 / 10),
        "sender_name_length": 9,
        "part_count": 1,
        "link_count": 2,
    }


def test_an_empty_message_has_the_default_numbers() -> None:
    """No text, and every number at its default but two: nobody is addressed, and one part is empty."""
    features = extract(parse(b""))
    assert features.text == ""
    assert numbers(parse(b"")) == {"recipient_is_hidden": 1, "part_count": 1}
    assert features.numeric.dtype == np.float32
    assert features.numeric.shape == (len(MESSAGE_FEATURES),)


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_the_text_holds_no_more_tokens_than_the_limit(limit: int) -> None:
    """The first tokens are kept."""
    whole = extract(parse(SPAM)).text.split(" ")
    assert extract(parse(SPAM), max_tokens=limit).text.split(" ") == whole[:limit]


def test_text_statistics_tell_of_the_text_and_not_what_it_says() -> None:
    """Counts and shares of the token text."""
    statistics = extract(parse(b"Subject: one two\n\ntwo $ three")).text_statistics
    assert (statistics.token_count, statistics.character_count) == (5, 24)
    assert statistics.unique_share == pytest.approx(4 / 5)
    assert statistics.placeholder_share == pytest.approx(1 / 5)
    assert extract(Message()).text_statistics.unique_share == 0


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("recipient_count", Message(recipients=("a@b.c",) * 5000), 1000),
        ("subject_length", Message(subject="x" * 9000), 1000),
        ("subject_punctuation_count", Message(subject="!" * 9000), 100),
        ("sender_name_length", Message(sender_name="x" * 9000), 200),
        ("link_count", Message(links=("http://x",) * 5000), 1000),
        ("obfuscation_count", Message(hidden_characters=10**7), 10_000),
        ("part_count", Message(parts=10**6), 100),
    ],
)
def test_numbers_saturate_at_their_bounds(name: str, message: Message, expected: float) -> None:
    """A value beyond its bound is the bound."""
    assert numbers(message)[name] == expected


@pytest.mark.parametrize(
    ("subject", "is_reply", "length"),
    [
        ("Re: lunch", 1, 5),
        ("Fwd: Re: lunch", 1, 5),
        ("[team] Re[2]: [other] lunch", 1, 5),
        ("AW: lunch", 1, 5),
        ("[team] lunch", 0, 5),
        ("Regarding: lunch", 0, 16),
        ("lunch [today]", 0, 13),
        ("[only a tag]", 0, 0),
    ],
)
def test_reply_prefixes_and_leading_tags_are_no_part_of_the_subject(
    subject: str, is_reply: int, length: int
) -> None:
    """They are put there by mail programs and list servers."""
    found = numbers(Message(subject=subject))
    assert found.get("subject_is_reply", 0) == is_reply
    assert found.get("subject_length", 0) == length
