"""The scorer says of an e-mail what extraction, graph and threshold say, one at a time or many at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from contracts.features import SENDER_FEATURES
from feature_repo.events import subject_sha256
from feature_repo.sender_numbers import SenderHistory
from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from kit.errors import UsageError
from kit.onnx_function import OnnxFunction
from serving.extraction import EmailRefused, extract_raw, model_inputs
from serving.scorer import Scorer
from tests.serving.bundles import mail_bundle

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SPAM = b"From: Win <win@example.org>\nSubject: WINNER prize!!!\n\nclaim your free casino prize $$$ click\n"
HAM = (
    b"From: ann@example.org\nTo: bob@example.net\nSubject: agenda\n\nthe meeting report and minutes, thanks\n"
)
EMAILS = [SPAM, HAM, b"", b'{"subject": "prize", "from": "a@b.example", "body": "refund"}', SPAM * 40]


@pytest.fixture(scope="module")
def scorer(mails_1: Bundle) -> Scorer:
    """A scorer to whom every sender is unknown."""
    return Scorer(mails_1, FeatureRepoSettings.load())


def test_scores_are_the_graph_s_answers_on_what_is_extracted(scorer: Scorer, mails_1: Bundle) -> None:
    """Text, 24 numbers and all; in the order in which they were given."""
    scores = scorer.score([SPAM, HAM, b""], NOW)
    inputs = model_inputs([extract_raw(raw, FeatureRepoSettings.load()) for raw in (SPAM, HAM, b"")])
    answers = OnnxFunction(mails_1.model.read_bytes())(inputs)
    assert scores.probabilities.tolist() == pytest.approx(answers["probabilities"], abs=1e-6)
    assert scores.labels.tolist() == answers["label"].tolist()
    assert scores.numeric.tolist() == inputs["numeric"].tolist()
    assert list(scores.texts) == inputs["text"][:, 0].tolist()
    told = [each.text_statistics for each in scores.facts]
    assert [each["token_count"] for each in told] == [len(text.split()) for text in scores.texts]
    assert told[0]["known_share"] > 0.5
    assert told[2]["known_share"] == 0


def test_a_model_whose_contract_names_no_terms_tells_no_share_of_known_tokens(mails_1: Bundle) -> None:
    """Nothing is told rather than a zero, which would be a drift."""
    numbers = mails_1.contract.feature_names[-24:]
    bundle = replace(mails_1, contract=mails_1.contract.model_copy(update={"feature_names": numbers}))
    scores = Scorer(bundle, FeatureRepoSettings.load()).score([SPAM], NOW)
    assert set(scores.facts[0].text_statistics) == {
        "token_count", "character_count", "unique_share", "placeholder_share",
    }  # fmt: skip


def test_facts_say_who_wrote_and_by_which_rules_it_was_judged(scorer: Scorer, mails_1: Bundle) -> None:
    """Of a message that is none, all that is not known is empty; nothing fails the records' own limits."""
    long = b"From: " + b"a" * 400 + b"@" + b"b" * 400 + b".org\nSubject: =?utf-8?q?=ED=B2=A9?=\n\n"
    spam, empty, endless = (scorer.score([email], NOW).facts[0] for email in (SPAM, b"", long))
    assert (spam.sender, spam.sender_domain) == ("win@example.org", "example.org")
    assert spam.subject_sha256 == subject_sha256("winner  PRIZE!!!")
    assert (spam.threshold, spam.schema_digest) == (
        mails_1.contract.threshold,
        mails_1.contract.schema_digest,
    )
    assert (empty.sender, empty.sender_domain, empty.subject_sha256) == ("", "", None)
    assert (endless.sender, endless.sender_domain) == ("", "")
    assert endless.subject_sha256 is not None


def test_alone_and_among_others_an_e_mail_scores_the_same(scorer: Scorer) -> None:
    """Rows are run in order of length; each answer comes back to its own."""
    together = scorer.score(EMAILS, NOW)
    for at, email in enumerate(EMAILS):
        alone = scorer.score([email], NOW)
        assert alone.probabilities[0] == pytest.approx(together.probabilities[at], abs=1e-6)
        assert alone.verdicts[0] == together.verdicts[at]


def test_no_e_mails_give_empty_scores(scorer: Scorer) -> None:
    """Of the right shapes, so that nobody needs a special case."""
    scores = scorer.score([], NOW)
    assert scores.probabilities.shape == (0, 2)
    assert scores.numeric.shape == (0, 24)
    assert scores.verdicts == ()
    assert scorer.explained(scores) == []


def test_the_verdict_is_spam_from_the_threshold_on(mails_1: Bundle, tmp_path: Path) -> None:
    """Equal is reached; the label stays the class of the largest probability."""
    settings = FeatureRepoSettings.load()
    probability = float(Scorer(mails_1, settings).score([SPAM], NOW).probabilities[0, 1])
    for at, (threshold, verdict) in enumerate(((probability, "spam"), (min(probability + 1e-4, 1), "ham"))):
        bundle = mail_bundle(tmp_path / str(at), 1, threshold=threshold)
        scores = Scorer(bundle, settings).score([SPAM], NOW)
        assert scores.verdicts == (verdict,)
        assert scores.labels[0] == int(probability > 0.5)


def test_sender_numbers_are_asked_once_for_all_and_go_to_the_right_columns(mails_1: Bundle) -> None:
    """By the From address in lower case and the instant that was given; the last 8 of 24."""
    asked = []

    def senders(addresses: object, at: datetime) -> SenderHistory:
        asked.append((addresses, at))
        return SenderHistory(
            np.arange(16, dtype=np.float32).reshape(2, 8), np.array([0, 3]), np.array([True, False])
        )

    scorer = Scorer(mails_1, FeatureRepoSettings.load(), senders)
    scores = scorer.score([SPAM, HAM], NOW)
    assert asked == [(["win@example.org", "ann@example.org"], NOW)]
    assert scores.numeric[:, 16:].tolist() == np.arange(16).reshape(2, 8).tolist()
    assert [each.defaulted_features for each in scores.facts] == [0, 3]
    unknown = Scorer(mails_1, FeatureRepoSettings.load()).score([HAM], NOW)
    assert unknown.facts[0].defaulted_features == 8
    assert unknown.numeric[0, 16:].tolist() == [feature.default for feature in SENDER_FEATURES]


def test_many_threads_get_the_answers_of_one(scorer: Scorer) -> None:
    """The embedded backend calls it from a pool."""
    wanted = scorer.score(EMAILS, NOW).probabilities
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: scorer.score(EMAILS, NOW).probabilities, range(40)))
    assert max(float(np.abs(answer - wanted).max()) for answer in answers) <= 1e-6


def test_explanations_are_of_the_scores(scorer: Scorer) -> None:
    """Each adds up to the probability that was told."""
    scores = scorer.score(EMAILS, NOW)
    margins = np.array([each.margin for each in scorer.explained(scores, top=2)])
    assert 1 / (1 + np.exp(-margins)) == pytest.approx(scores.probabilities[:, 1], abs=1e-6)


def test_structured_e_mail_that_is_none_is_refused(scorer: Scorer) -> None:
    """And raw bytes never are."""
    with pytest.raises(EmailRefused):
        scorer.score([HAM, b'{"subject": 7}'], NOW)
    assert len(scorer.score([b"\xff\xfe\x00", b"\n" * 1000, b"=?utf-8?q?" * 100], NOW).verdicts) == 3


def test_model_of_another_contract_is_refused(flowers_1: Bundle) -> None:
    """It does not take what is extracted from an e-mail."""
    with pytest.raises(UsageError, match="iris does not take"):
        Scorer(flowers_1, FeatureRepoSettings.load())
