"""While a model moves to and fro, every request is answered, by a version that was current."""

import asyncio
from pathlib import Path

import pytest

from contracts.environments import HEADER as ENVIRONMENT
from contracts.environments import Environment
from contracts.gateway import PREDICT
from contracts.headers import API_KEY
from kit.bundle import Bundle
from serving import load
from serving.load import Answer
from serving.local.door import door, unanswered
from serving.local.stack import Stack
from serving.promotion import Request, opened, promote
from serving.promotion.ledger import history
from serving.promotion.traffic import Plan, Seen, Switch, watched
from serving.settings import ServingSettings
from serving.transformer import MODEL
from tests.serving.promotion.shop import made_home

pytestmark = [
    pytest.mark.xdist_group("promotion"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]
STAGING = Environment.STAGING
LETTERS = (
    "From: Ann <ann@example.org>\nSubject: Lunch\n\nThe meeting is at noon.",
    "From: win@prize.example\nSubject: YOU WON!!!\n\nClaim your free prize, click now.",
    "no header at all",
)


def answer(version: str | None, begun: float, seconds: float, status: int = 200) -> Answer:
    """Returns an answer of `version`."""
    return Answer(0, begun, seconds, status, version, b"")


def test_an_answer_is_foreign_if_its_version_was_current_at_no_moment_of_it() -> None:
    """Version 1 until 11, version 2 from 10: in between both, before and after one of them."""
    switches = [Switch("2", begun=10, done=11)]
    fine = [answer("1", 1, 0.1), answer("1", 10.5, 2), answer("2", 9.9, 0.2), answer("2", 20, 0.1)]
    wrong = [answer("2", 5, 0.1), answer("1", 12, 0.1), answer("3", 10.5, 0.1), answer(None, 5, 0.1)]
    lost = answer(None, 5, 0.1, status=503)
    seen = Seen([*fine, *wrong, lost], switches)
    assert seen.foreign("1") == wrong
    assert seen.failed == [lost]


def test_nothing_is_lost_while_a_model_is_promoted_and_rolled_back(
    mails_1: Bundle,
    mails_2: Bundle,
    empty_registry: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real Triton, transformer and gateway, clients that ask all the time, and a process that moves."""
    home = made_home(tmp_path / "home", [mails_1, mails_2], empty_registry)
    monkeypatch.setenv("SLUICE_HOME", str(home.root))
    monkeypatch.setenv("SERVING_DRAIN_SECONDS", "0.2")
    stack = Stack(home, ServingSettings.load())
    stack.start()
    try:
        stack.triton(STAGING)
        promote(opened(home), MODEL, STAGING, "1", Request(actor="ada", reason="The first one."))
        stack.begin_gateway()
        stack.gateway()
        at = door(home)
        assert at is not None
        assert at.key is not None
        assert unanswered(at.url, [STAGING], 60) == []
        host = at.url.removeprefix("http://")
        heads = {API_KEY: at.key, ENVIRONMENT: STAGING.value, "Content-Type": "message/rfc822"}
        requests = [load.post(host, PREDICT, letter.encode(), heads) for letter in LETTERS]
        plan = Plan(home.root, MODEL, STAGING, "2", rounds=1, seconds=2)
        seen = asyncio.run(watched(host, requests, plan, rate=50))
    finally:
        stack.stop()
    assert [switch.version for switch in seen.switches] == ["2", "1"]
    assert seen.failed == []
    assert seen.foreign("1") == []
    assert {answer.version for answer in seen.answers} == {"1", "2"}
    assert [row.to_version for row in history(MODEL, STAGING)] == ["1", "2", "1"]
