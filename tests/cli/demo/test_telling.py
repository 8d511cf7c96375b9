"""A step that fails ends the demo with its own words, and what runs is ended."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from cli.demo import story
from cli.demo.command import played
from cli.demo.held_out import Message, through_a_relay
from cli.demo.listening import listening
from cli.demo.story import Size
from cli.demo.telling import DemoFailed, Teller
from cli.main import load
from feature_repo.message import parse
from kit.home import Home


def test_a_command_that_fails_stops_the_demo_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A corpus that is not there: no later step runs, and nothing is written."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    with pytest.raises(DemoFailed, match=r"sluice data fetch --from .*absent left with exit code") as caught:
        played(Size(source=tmp_path / "absent"))
    assert caught.value.next_step is not None
    assert not Home(tmp_path).corpus.joinpath("corpus.parquet").exists()
    assert not (tmp_path / "demo.json").exists()


def test_a_promise_that_is_not_kept_stops_the_demo() -> None:
    """It says what was promised and what was found."""
    teller = Teller({})
    teller.expect(True, "one is one", 1)
    with pytest.raises(DemoFailed, match="promises that nobody is lost; it found 3"):
        teller.expect(False, "nobody is lost", 3)


def test_chapters_keep_what_they_took(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, for the document."""
    teller = Teller({})
    with teller.chapter("corpus", "1. Real e-mail"):
        teller.tell("6,046 messages")
    assert set(teller.seconds) == {"corpus"}
    assert "6,046 messages" in capsys.readouterr().err


def test_the_listener_believes_what_is_signed_and_nothing_else() -> None:
    """Another secret, or no signature, is told from the right one."""
    from datetime import UTC, datetime

    with listening(story.SECRET) as listener:
        body = '{"key": "a/b"}'
        now = datetime.now(UTC)
        for secret, answer in ((story.SECRET, 204), ("whsec_c2VjcmV0LW9mLXNvbWVib2R5LWVsc2U=", 400)):
            heads = {
                "webhook-id": "1",
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(secret).sign("1", now, body),
            }
            assert _posted(listener.url, body, heads) == answer
            received = listener.next(60)
            assert received is not None
            assert received.valid == (answer == 204)
        assert _posted(listener.url, body, {}) == 400
        unsigned = listener.next(60)
        assert unsigned is not None
        assert not unsigned.valid


def test_the_relay_changes_heads_and_no_text() -> None:
    """The shift is what it says it is: recipients, subject and Reply-To."""
    raw = b"From: a@example.org\nTo: b@example.org\nSubject: Minutes\n\nSee you on Tuesday.\n"
    (shifted,) = through_a_relay([Message(raw, "ham", "a@example.org", None)])
    before, after = parse(raw), parse(shifted.raw)
    assert after.text == before.text
    assert after.sender == before.sender
    assert after.subject.startswith("[FORWARDED")
    assert b"b@example.org" not in shifted.raw


def test_the_command_can_be_told_to_be_kept_small() -> None:
    """The options that the end-to-end test and a newcomer use are there."""
    options = {option for parameter in load("demo").params for option in parameter.opts}
    assert options >= {"--keep", "--corpus", "--trials", "--window", "--json"}


def _posted(url: str, body: str, heads: dict[str, str]) -> int:
    request = urllib.request.Request(url, body.encode(), heads, method="POST")  # noqa: S310 - our own listener
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code
