"""Folders and archives of messages, friendly and hostile."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.labels import Label
from training.corpus.errors import SourceTooLarge, SourceUnreadable
from training.corpus.files import ArchiveSource, FolderSource
from training.corpus.found import Found, Reason
from training.settings import TrainingSettings


def in_archive(path: Path, settings: TrainingSettings, label: Label | None = None) -> list[Found]:
    """Returns what an archive holds."""
    return list(ArchiveSource(path, str(path), label, settings).entries())


def tar_of(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Returns a tar of `members`, compressed as its name says."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_folder_of_messages_is_read_with_labels_and_groups(
    mail_folder: Path, settings: TrainingSettings
) -> None:
    """The folder is the group, and its name states the class."""
    found = list(FolderSource(mail_folder, None, settings).entries())
    assert Counter((item.label, item.group) for item in found) == {
        ("spam", "spam-1"): 3,
        ("ham", "easy_ham"): 5,
    }
    assert [item.where for item in found][:2] == ["easy_ham/0.eml", "easy_ham/1.eml"]


def test_link_and_pipe_in_a_folder_are_noted_and_not_followed(
    mail_folder: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    """A link may lead to a secret, and a pipe would wait for ever."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("Key: secret")
    (mail_folder / "spam-1" / "file").symlink_to(secret / "key")
    (mail_folder / "spam-1" / "folder").symlink_to(secret)
    os.mkfifo(mail_folder / "spam-1" / "pipe")
    odd = [item for item in FolderSource(mail_folder, None, settings).entries() if item.reason]
    assert [(item.where, item.reason, item.raw) for item in odd] == [
        (f"spam-1/{name}", Reason.NOT_A_FILE, b"") for name in ("file", "folder", "pipe")
    ]


def test_file_name_that_is_no_utf8_does_not_stop_the_folder(
    mail_folder: Path, settings: TrainingSettings
) -> None:
    """The name is shown with escapes."""
    (Path(os.fsdecode(os.fsencode(mail_folder) + b"/spam-1/\xff.eml"))).write_bytes(b"A: b")
    assert "spam-1/\\xff.eml" in [item.where for item in FolderSource(mail_folder, None, settings).entries()]


def test_mbox_in_a_folder_is_read_message_by_message(tmp_path: Path, settings: TrainingSettings) -> None:
    """Its own name may state the class."""
    envelope = b"From a@b Sat Oct  5 17:23:18 2002\n"
    (tmp_path / "Spam.mbox").write_bytes(envelope + b"A: 1\n\n" + envelope + b"A: 2\n\n")
    found = list(FolderSource(tmp_path, None, settings).entries())
    assert [(item.raw, item.label, item.where) for item in found] == [
        (b"A: 1\n", "spam", "Spam.mbox#1"),
        (b"A: 2\n", "spam", "Spam.mbox#2"),
    ]


def test_identity_of_a_folder_changes_with_its_files(mail_folder: Path, settings: TrainingSettings) -> None:
    """An unchanged folder need not be read again; a changed one must."""
    source = FolderSource(mail_folder, None, settings)
    before = source.identity()
    assert source.identity() == before
    (mail_folder / "spam-1" / "9.eml").write_bytes(b"A: b")
    assert source.identity() != before


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_archive_of_every_kind_is_read_like_the_folder(
    suffix: str, mail_folder: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Kind and compression are seen in the content."""
    kind = {"tar": "tar", "zip": "zip", "tar.gz": "gztar", "tar.bz2": "bztar", "tar.xz": "xztar"}[suffix]
    path = Path(shutil.make_archive(str(tmp_path / "x"), kind, mail_folder))
    found = sorted(in_archive(path.rename(tmp_path / "anything"), settings))
    assert found == sorted(FolderSource(mail_folder, None, settings).entries())


@pytest.mark.parametrize("name", ["../spam/x", "/spam/x", "spam/../../x"])
def test_tar_entry_whose_name_leads_outside_is_not_read(
    name: str, settings: TrainingSettings, tmp_path: Path
) -> None:
    """It is in quarantine by its name, and nothing is written anywhere."""
    path = tar_of(
        tmp_path / "x.tar", [(tarfile.TarInfo(name), b"A: b"), (tarfile.TarInfo("spam/y"), b"A: c")]
    )
    found = in_archive(path, settings)
    assert [(item.reason, item.raw) for item in found] == [(Reason.UNSAFE_PATH, b""), (None, b"A: c")]
    assert [item.name for item in tmp_path.iterdir()] == ["x.tar"]


@pytest.mark.parametrize("name", ["../spam/x", "/spam/x", "C:\\spam\\x", "spam\\..\\..\\x"])
def test_zip_entry_whose_name_leads_outside_is_not_read(
    name: str, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Back slashes and drive letters count too."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, b"A: b")
    assert [item.reason for item in in_archive(tmp_path / "x.zip", settings)] == [Reason.UNSAFE_PATH]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_link_or_device_in_a_tar_is_not_followed(
    kind: bytes, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Where it leads to is never looked at."""
    member = tarfile.TarInfo("spam/x")
    member.type, member.linkname = kind, "/etc/passwd"
    found = in_archive(tar_of(tmp_path / "x.tar", [(member, b"")]), settings)
    assert [(item.reason, item.raw) for item in found] == [(Reason.NOT_A_FILE, b"")]


def test_link_in_a_zip_is_not_followed(settings: TrainingSettings, tmp_path: Path) -> None:
    """A zip marks a link in its Unix mode."""
    member = zipfile.ZipInfo("spam/x")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    assert [item.reason for item in in_archive(tmp_path / "x.zip", settings)] == [Reason.NOT_A_FILE]


def test_zip_bomb_ends_at_the_limit(settings: TrainingSettings, tmp_path: Path) -> None:
    """Many entries that are small when packed are counted as they unpack."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(60):
            archive.writestr(f"spam/{number}", b"A: " + b"0" * 1_000_000)
    assert (tmp_path / "x.zip").stat().st_size < 100_000
    with pytest.raises(SourceTooLarge, match="200,000"):
        in_archive(tmp_path / "x.zip", settings)


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open])
def test_tar_bomb_ends_at_the_limit(
    opener: Callable[..., io.BufferedIOBase], settings: TrainingSettings, tmp_path: Path
) -> None:
    """One entry of many megabytes is not unpacked further than the limit."""
    plain = tar_of(tmp_path / "x.tar", [(tarfile.TarInfo("spam/x"), b"0" * 20_000_000)])
    with opener(tmp_path / "bomb", "wb") as packed:
        packed.write(plain.read_bytes())
    with pytest.raises(SourceTooLarge):
        in_archive(tmp_path / "bomb", settings)


def test_large_message_in_an_archive_within_its_limit_is_only_cut(
    settings: TrainingSettings, tmp_path: Path
) -> None:
    """It is told by being a byte longer than the limit, and its neighbour is whole."""
    members = [(tarfile.TarInfo("spam/x"), b"A: " + b"x" * 50_000), (tarfile.TarInfo("ham/y"), b"A: b")]
    first, second = in_archive(tar_of(tmp_path / "x.tar.gz", members), settings)
    assert len(first.raw) == settings.message_max_bytes + 1
    assert second == Found(b"A: b", Label.HAM, "ham", "ham/y")


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_cut_archive_is_named_as_damaged(suffix: str, settings: TrainingSettings, tmp_path: Path) -> None:
    """An archive that ends early is an error, and not a small corpus."""
    path = tmp_path / f"x.{suffix}"
    content = os.urandom(3000)
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("spam/x", content)
        broken = bytearray(path.read_bytes())
        broken[100] ^= 0xFF
        path.write_bytes(broken)
    else:
        tar_of(path, [(tarfile.TarInfo("spam/x"), content)])
        path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(SourceUnreadable, match="damaged"):
        in_archive(path, settings)


def test_encrypted_zip_is_named(settings: TrainingSettings, tmp_path: Path) -> None:
    """The flag is enough: there is no password to ask for."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("spam/x", b"A: b")
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(SourceUnreadable, match="encrypted"):
        in_archive(tmp_path / "x.zip", settings)
