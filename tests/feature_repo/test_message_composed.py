"""A structured e-mail has the features of the same e-mail in its raw form."""

from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.defects import Defect
from feature_repo.message import MessageLimits, parse
from feature_repo.message_features import extract
from feature_repo.structured_mail import compose


@pytest.mark.parametrize(
    ("subject", "text", "html", "attachments"),
    [
        ("Lunch?", "See you at http://example.org/menu\n", "", 0),
        ("Grüße aus Köln", "Schöne Grüße, naïve\n", "<p>Schöne <b>Grüße</b>, naïve</p>\n", 0),
        ("FREE m\u043eney!", "", "<p>Click <a href='http://10.0.0.1/x'>here</a></p>\n", 2),
        ("", "\n", "", 0),
    ],
)
def test_a_structured_message_equals_its_raw_form(
    subject: str, text: str, html: str, attachments: int
) -> None:
    """Written as MIME by the standard library and parsed, it gives the same text and numbers."""
    raw = EmailMessage()
    raw["From"] = "Ann Smith <ann@example.org>"
    raw["To"] = "bob@example.com, carol@example.com"
    raw["Reply-To"] = "grab@elsewhere.example"
    raw["Subject"] = subject
    if text:
        raw.set_content(text)
        if html:
            raw.add_alternative(html, subtype="html")
    else:
        raw.set_content(html, subtype="html")
    for _ in range(attachments):
        raw.add_attachment(b"PK", maintype="application", subtype="zip")
    composed = compose(
        subject=subject,
        sender="Ann Smith <ann@example.org>",
        to=["bob@example.com", "carol@example.com"],
        reply_to="grab@elsewhere.example",
        text=text,
        html=html,
        attachments=attachments,
    )
    ours, theirs = extract(composed), extract(parse(raw.as_bytes()))
    assert ours.text == theirs.text
    assert ours.numeric.tolist() == theirs.numeric.tolist()


def test_what_exceeds_the_limits_is_cut_and_counted() -> None:
    """The limit holds for text and HTML together."""
    whole = compose(text="x" * 60, html="y" * 40, limits=MessageLimits(max_bytes=100))
    cut = compose(text="x" * 60, html="y" * 41, limits=MessageLimits(max_bytes=100))
    assert (whole.text.strip(), whole.defects) == ("y" * 40, {})
    assert (cut.text.strip(), cut.defects) == ("y" * 40, {Defect.TRUNCATED: 1})
    assert compose(attachments=9, limits=MessageLimits(max_parts=5)).attachments == 5


@settings(deadline=None, derandomize=True)
@given(st.text(), st.text(), st.lists(st.text(), max_size=3), st.text(), st.text())
def test_any_strings_make_a_message(subject: str, sender: str, to: list[str], text: str, html: str) -> None:
    """Nothing raises, whatever the fields hold."""
    features = extract(compose(subject=subject, sender=sender, to=to, text=text, html=html))
    assert features.text == " ".join(features.text.lower().split())
