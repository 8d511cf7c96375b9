"""What every measured peer wraps is the work that the platform does."""

from datetime import UTC, datetime

import pytest

from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from serving.peers.detector import Detector
from serving.scorer import Scorer

EMAILS = [b"Subject: hello\n\nsee you at lunch", b"Subject: WIN\n\ncaf\xe9 free money now\x00"]


def test_what_every_peer_wraps_answers_as_the_scorer_does(mails_1: Bundle) -> None:
    """The same extraction and the same graph, one e-mail alone or several together."""
    scores = Scorer(mails_1, FeatureRepoSettings.load()).score(EMAILS, datetime.now(UTC))
    wanted = scores.probabilities[:, -1].tolist()
    detector = Detector(mails_1.folder)
    assert detector.probabilities(EMAILS) == pytest.approx(wanted, abs=1e-7)
    assert [detector.probabilities([email])[0] for email in EMAILS] == pytest.approx(wanted, abs=1e-7)
