"""The measured figures of training."""

from pathlib import Path

import pytest

from feature_repo.settings import FeatureRepoSettings
from kit.home import Home
from training.benchmarks import corpus_load
from training.corpus.errors import CorpusMissing
from training.corpus.fetch import fetch
from training.corpus.files import FolderSource
from training.settings import TrainingSettings

READING = FeatureRepoSettings()
"""Limits of a message, as they are by default."""


def test_corpus_load_is_measured_against_an_mbox_of_the_same_messages(
    mail_folder: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    """The figure has a value, its peer and their ratio from one run."""
    home = Home(tmp_path / "home")
    fetch(home.corpus, FolderSource(mail_folder, None, settings), settings, READING)
    (figure,) = corpus_load(home)
    assert figure.value > 0
    assert figure.unit == "messages/s"
    assert figure.peer is not None
    assert figure.ratio is not None
    assert figure.ratio > 0
    assert "8 messages" in str(figure.note)


def test_without_a_corpus_nothing_is_measured(tmp_path: Path) -> None:
    """A figure without its data would be made up."""
    with pytest.raises(CorpusMissing):
        corpus_load(Home(tmp_path))
