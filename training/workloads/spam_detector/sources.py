"""What the pipeline does before it reads the data: fetch the corpus, judge it, make the sender history."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kit.home import Home
from kit.terminal import bar
from training.settings import TrainingSettings


def fetch(home: Home) -> Mapping[str, Any]:
    """Returns what tells the corpus of this home from others; without one, the public one is fetched first.

    A corpus that is there stays, wherever it came from: `sluice data fetch` replaces it.

    Raises:
        CorpusMissing: there is one, and it is damaged: the public one must not quietly take its place.
    """
    from feature_repo.settings import FeatureRepoSettings
    from training.corpus import store
    from training.corpus.errors import CorpusMissing
    from training.corpus.fetch import fetch as fetched
    from training.corpus.sources import named

    manifest = store.whole(home.corpus)
    if manifest is None and store.read_manifest(home.corpus) is not None:
        raise CorpusMissing(
            f"The corpus in {home.corpus} is damaged: a file is not what its manifest promises.",
            next_step="Fetch it again from where it came: sluice data fetch --from …",
        )
    if manifest is None:
        settings = TrainingSettings.load()
        source = named(None, home.corpus / store.DOWNLOADS, settings)
        manifest = fetched(home.corpus, source, settings, FeatureRepoSettings.load()).manifest
    return {"fingerprint": manifest.fingerprint, **manifest.counts.model_dump()}


def validate(home: Home) -> Sequence[str]:
    """Returns a sentence for each check that the corpus passed.

    Raises:
        Unfit: the corpus must not be trained on.
    """
    from feature_repo.settings import FeatureRepoSettings
    from training.corpus.validation import validate as validated

    settings, reading = TrainingSettings.load(), FeatureRepoSettings.load()
    return [check.sentence for check in validated(home.corpus, settings, reading).checks]


def materialize(home: Home) -> None:
    """Makes the sender history of the corpus and of pushed events anew, in both stores."""
    from feature_repo.materialization import materialize as materialized
    from feature_repo.settings import FeatureRepoSettings
    from feature_repo.store import open_store

    store = open_store(home, FeatureRepoSettings.load())
    with bar("Making sender history") as progress:
        materialized(store, datetime.now(UTC), read=progress.total, progress=progress)
