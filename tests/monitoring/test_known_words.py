"""From an e-mail's words to a drift of the text family: trained, served, recorded and measured for real.

Traffic in other words has each letter exchanged for another one: of all facts of the text, only the share of
tokens that the model knows can tell it from the mail of the reference.
"""

import codecs
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from contracts.environments import Environment
from contracts.tensors import SPAM_DETECTOR
from feature_repo.sender_numbers import unknown_senders
from feature_repo.settings import FeatureRepoSettings
from gateway.memory.answered import Answered
from gateway.memory.rows import row
from kit.bundle import Bundle, load
from kit.home import Home
from monitoring.drift import job
from monitoring.drift.result import DriftResult, FamilyDrift, Verdict
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories.predictions import NewPrediction
from serving.scorer import Scorer
from tests.monitoring.traffic import after, record
from tests.serving.bundles import BOTH_WORDS, HAM_WORDS, MAIL_PARAMETERS, SPAM_WORDS, made
from training import bundle as bundles
from training.workload import Dataset, Rows, Splits
from training.workloads import find
from training.workloads.spam_detector.extraction import STATISTICS, extracted

FITTED, REFERENCE, ROWS = 200, 300, 300
VERSION, FORMER = "2", "3"


def mails(count: int, seed: int, *, foreign: float = 0) -> list[bytes]:
    """Returns e-mails, half of them spam; of the share `foreign` no word is known."""
    random = np.random.default_rng(seed)
    found = []
    for at in range(count):
        typical = SPAM_WORDS if at % 2 else HAM_WORDS
        rare = ["".join(random.choice(list("abcdefghij"), 7)) for _ in range(random.integers(4, 16))]
        words = [*random.choice(typical, 12), *random.choice(BOTH_WORDS[:7], random.integers(10, 20)), *rare]
        body = " ".join(random.permutation(words).tolist())
        if random.random() < foreign:
            body = codecs.encode(body, "rot13")
        found.append(
            f"From: a{random.integers(10)}@b.example\nTo: c@d.example\nSubject: hello\n\n{body}\n".encode()
        )
    return found


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model fitted on such mail; its reference is mail that it has not seen."""
    raws = mails(FITTED + REFERENCE, seed=1)
    messages = extracted(raws, FeatureRepoSettings.load())
    numbers = np.hstack([messages.numbers, unknown_senders(len(raws))])
    rows = Rows(
        {"text": messages.texts, "numeric": numbers},
        np.arange(len(raws)) % 2,
        np.array([f"mail-{at}" for at in range(len(raws))]),
    )
    first, rest = np.arange(FITTED), np.arange(FITTED, len(raws))
    data = Dataset(
        rows,
        "sha256:made",
        split=lambda _seed: Splits(first, rest, rest),
        reference=dict(zip(STATISTICS, messages.statistics.T, strict=True)),
    )
    folder = tmp_path_factory.mktemp("bundles") / VERSION
    return made(folder, find(SPAM_DETECTOR), data, MAIL_PARAMETERS, seed=1, threshold=0.5)


@pytest.fixture(scope="module")
def former(version: Bundle) -> Bundle:
    """The same model as it was registered before the reference held the share of known tokens."""
    return bundles.write(
        version.folder.with_name(FORMER),
        version.contract.model_copy(update={"files": {}, "own_digest": ""}),
        model=version.model.read_bytes(),
        reference=version.reference().drop_columns(["text_known_share"]),
        parity=version.parity,
    )


def answered(bundle: Bundle, raws: Sequence[bytes], *, name: str, start: datetime) -> list[NewPrediction]:
    """Returns what a gateway records of e-mails that the version answers within an hour."""
    scores = Scorer(bundle, FeatureRepoSettings.load()).score(raws, start)
    return [
        row(
            Answered(
                request_id=f"{name}-{at}",
                created_at=start + at * timedelta(hours=1) / len(raws),
                environment=Environment.PRODUCTION,
                model=SPAM_DETECTOR,
                version=bundle.folder.name,
                facts=facts,
                numeric=numeric,
                probability=probability,
                label=verdict,
                latency_seconds=0.002,
            )
        )
        for at, (facts, numeric, probability, verdict) in enumerate(
            zip(
                scores.facts,
                scores.numeric.tolist(),
                scores.probabilities[:, 1].tolist(),
                scores.verdicts,
                strict=True,
            )
        )
    ]


async def measured(
    records: Records, home: Home, settings: MonitoringSettings, now: datetime
) -> tuple[DriftResult, FamilyDrift]:
    """Returns what the job finds, and its verdict on the text."""
    outcome = await job.run(records, home, settings, now=now)
    assert outcome.unmeasured == ()
    (result,) = outcome.results
    (text,) = [family for family in result.families if family.family == "text"]
    return result, text


async def test_words_that_the_model_does_not_know_are_a_drift_of_the_text_and_known_ones_are_not(
    records: Records, home: Home, settings: MonitoringSettings, version: Bundle
) -> None:
    """More of the same is quiet in every family; of the text, nothing but the known share moves.

    Every sender's numbers are defaults here, and still no feature store is named as the cause.
    """
    shutil.copytree(version.folder, home.bundles / SPAM_DETECTOR / VERSION)
    await record(records, answered(version, mails(ROWS, seed=2), name="same", start=after(0)))
    same, text = await measured(records, home, settings, after(1.5))
    assert same.drifted == ()
    assert same.not_measured == ()
    assert "text_known_share" in {feature.name for feature in text.features}

    other = mails(ROWS, seed=3, foreign=0.4)
    await record(records, answered(version, other, name="other", start=after(2)))
    result, text = await measured(records, home, settings, after(3.5))
    assert "text" in {family.family for family in result.drifted} <= {"text", "score"}
    assert [feature.name for feature in text.features if feature.drifted] == ["text_known_share"]
    assert text.top[0].name == "text_known_share"
    assert text.cause is None
    assert len(text.examples) == 3


async def test_a_bundle_from_before_goes_on_being_measured_and_says_what_it_cannot_tell(
    records: Records, home: Home, settings: MonitoringSettings, former: Bundle
) -> None:
    """Its reference lacks the column: the very traffic that is a drift above is quiet in the text."""
    shutil.copytree(load(former.folder).folder, home.bundles / SPAM_DETECTOR / FORMER)
    other = answered(former, mails(ROWS, seed=3, foreign=0.4), name="other", start=after(0))
    assert "known_share" in other[0].text_statistics
    await record(records, other)
    result, text = await measured(records, home, settings, after(1.5))
    assert text.verdict is Verdict.QUIET
    assert "text_known_share" not in {feature.name for feature in text.features}
    assert [sentence for sentence in result.not_measured if "known_share" in sentence] == [
        "The reference does not hold known_share, which predictions record."
    ]
