"""What `--from` may name, and what it refuses."""

import hashlib
import shutil
from pathlib import Path

import pytest

from contracts.labels import Label
from feature_repo.settings import FeatureRepoSettings
from kit.errors import UsageError
from tests.training.conftest import Site
from training.corpus.errors import DigestMismatch, NothingKept, SourceUnknown
from training.corpus.fetch import fetch
from training.corpus.npm import NpmSource
from training.corpus.sources import named
from training.corpus.store import DOWNLOADS
from training.settings import TrainingSettings

READING = FeatureRepoSettings()
"""Limits of a message, as they are by default."""

CSV = b"raw,label\nA: b,ham\nA: c,spam\n"
MBOX = b"From a@b Sat Oct  5 17:23:18 2002\nA: b\n\nFrom a@b Sat Oct  5 17:23:18 2002\nA: c\n"


def kept(location: str, folder: Path, settings: TrainingSettings, **options: object) -> dict[str, int]:
    """Returns how many messages of each class come from `location`."""
    source = named(location, folder / "downloads", settings, **options)  # type: ignore[arg-type]
    return fetch(folder / "corpus", source, settings, READING).manifest.counts.labels


def test_every_kind_of_local_source_is_told_by_its_content(
    tmp_path: Path, mail_folder: Path, settings: TrainingSettings
) -> None:
    """Folder, archive, CSV and mbox; names matter for CSV only."""
    assert kept(str(mail_folder), tmp_path, settings) == {"ham": 5, "spam": 3}
    archive = Path(shutil.make_archive(str(tmp_path / "x"), "gztar", mail_folder)).rename(tmp_path / "odd")
    assert kept(str(archive), tmp_path, settings) == {"ham": 5, "spam": 3}
    (tmp_path / "m.csv").write_bytes(CSV)
    assert kept(str(tmp_path / "m.csv"), tmp_path, settings) == {"ham": 1, "spam": 1}
    (tmp_path / "Spam.mbox").write_bytes(MBOX)
    assert kept(str(tmp_path / "Spam.mbox"), tmp_path, settings) == {"spam": 2}


def test_mbox_without_a_class_in_its_name_needs_a_label(tmp_path: Path, settings: TrainingSettings) -> None:
    """The error says so, and with the option it is read."""
    (tmp_path / "inbox").write_bytes(MBOX)
    with pytest.raises(NothingKept) as caught:
        kept(str(tmp_path / "inbox"), tmp_path, settings)
    assert "2 unlabelled" in caught.value.message
    assert "--label" in str(caught.value.next_step)
    assert kept(str(tmp_path / "inbox"), tmp_path, settings, label=Label.HAM) == {"ham": 2}


def test_address_is_downloaded_and_read_like_a_file(
    tmp_path: Path, site: Site, settings: TrainingSettings
) -> None:
    """Secrets in the address are not kept in the manifest."""
    site.body = CSV
    url = f"{site.url()}?token=secret"
    assert kept(url, tmp_path, settings) == {"ham": 1, "spam": 1}
    assert "secret" not in (tmp_path / "corpus" / "manifest.json").read_text()


def test_given_hash_is_checked(tmp_path: Path, settings: TrainingSettings) -> None:
    """Upper case is the same hash; another one is refused."""
    path = tmp_path / "m.csv"
    path.write_bytes(CSV)
    right = hashlib.sha256(CSV).hexdigest().upper()
    assert kept(str(path), tmp_path, settings, sha256=right) == {"ham": 1, "spam": 1}
    with pytest.raises(DigestMismatch):
        kept(str(path), tmp_path, settings, sha256="0" * 64)


@pytest.mark.parametrize(
    ("location", "options", "told"),
    [
        ("m.csv", {"sha256": "beef"}, "64 hexadecimal"),
        ("m.csv", {"label": Label.HAM}, "label column"),
        (".", {"sha256": "0" * 64}, "folder has no SHA-256"),
        (None, {"label": Label.HAM}, "belong to --from"),
        (None, {"sha256": "0" * 64}, "belong to --from"),
        ("absent", {}, "no file or folder"),
        ("picture.png", {}, "no zip, tar, mbox, CSV or Parquet"),
        ("ftp://example.org/x", {}, "neither http nor https"),
        ("empty", {}, "no zip, tar, mbox, CSV or Parquet"),
    ],
)
def test_what_makes_no_sense_is_refused_as_wrong_usage(
    location: str | None, options: dict[str, object], told: str, tmp_path: Path, settings: TrainingSettings
) -> None:
    """Each sentence names what does not fit."""
    (tmp_path / "m.csv").write_bytes(CSV)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UsageError, match=told):
        named(
            str(tmp_path / location) if location and "://" not in location else location,
            tmp_path / "downloads",
            settings,
            **options,  # type: ignore[arg-type]
        )
    assert issubclass(SourceUnknown, UsageError)


def test_copy_of_the_pinned_package_is_known_by_its_bytes(corpus_path: Path, tmp_path: Path) -> None:
    """A machine without npm can be given the archive under any name."""
    archive = next((corpus_path / DOWNLOADS).glob("*.tgz"))
    (tmp_path / "copy").symlink_to(archive)
    source = named(str(tmp_path / "copy"), tmp_path / "downloads", TrainingSettings())
    assert isinstance(source, NpmSource)
    assert next(iter(source.entries())).group in {
        "easy-ham-1",
        "easy-ham-2",
        "hard-ham-1",
        "spam-1",
        "spam-2",
    }
