"""Downloads from a real server on this machine: whole or absent, and gone on with where they ended."""

import hashlib
from pathlib import Path

import pytest

from tests.training.conftest import Site
from training.corpus.downloads import Download, download, shown
from training.corpus.errors import DigestMismatch, FetchFailed, SourceTooLarge, SourceUnreadable
from training.settings import TrainingSettings

BODY = bytes(range(256)) * 400
SHA256 = hashlib.sha256(BODY).hexdigest()


def no_pause(_seconds: float) -> None:
    """Goes on at once."""


def test_file_is_fetched_and_not_fetched_again_while_it_is_the_same(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """The second time the server only says that nothing changed; the third time it did."""
    site.body = BODY
    path = download(site.url(), tmp_path, settings)
    assert path.read_bytes() == BODY
    assert download(site.url(), tmp_path, settings) == path
    assert site.requests[1]["If-None-Match"] == '"one"'
    site.body, site.etag = BODY[::-1], '"two"'
    assert download(site.url(), tmp_path, settings).read_bytes() == BODY[::-1]


def test_known_hash_needs_no_server_the_second_time(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """What hashes to the promise is what was asked for."""
    site.body = BODY
    download(site.url(), tmp_path, settings, sha256=SHA256)
    download(site.url(), tmp_path, settings, sha256=SHA256)
    assert len(site.requests) == 1


def test_download_that_breaks_off_is_not_whole_and_goes_on_later(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Each try asks only for the rest; until the last byte there is no file, only a part."""
    site.body, site.cut_after = BODY, 1000
    with pytest.raises(FetchFailed, match="broke off 2 times"):
        download(site.url(), tmp_path, settings, pause=no_pause)
    files = Download.of(site.url(), tmp_path)
    assert not files.path.exists()
    assert files.part.read_bytes() == BODY[:1000]
    site.cut_after = None
    assert download(site.url(), tmp_path, settings).read_bytes() == BODY
    assert [request.get("Range") for request in site.requests] == [None, "bytes=1000-", "bytes=1000-"]


def test_part_of_another_version_is_thrown_away(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Halves of two files are never joined: the server's tag decides."""
    site.body, site.cut_after = BODY, 1000
    with pytest.raises(FetchFailed):
        download(site.url(), tmp_path, settings, pause=no_pause)
    site.body, site.etag, site.cut_after = BODY[::-1], '"two"', None
    assert download(site.url(), tmp_path, settings).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_server_without_a_strong_tag_is_asked_for_the_whole_file(
    etag: str | None, site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Without a promise that the bytes are the same, a part is worth nothing."""
    site.body, site.etag, site.cut_after = BODY, etag, 1000
    with pytest.raises(FetchFailed):
        download(site.url(), tmp_path, settings, pause=no_pause)
    site.cut_after = None
    assert download(site.url(), tmp_path, settings).read_bytes() == BODY
    assert all("Range" not in request for request in site.requests)


def test_given_hash_is_promise_enough_to_go_on(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """The whole is checked in the end."""
    site.body, site.etag, site.cut_after = BODY, None, 1000
    with pytest.raises(FetchFailed):
        download(site.url(), tmp_path, settings, sha256=SHA256, pause=no_pause)
    site.cut_after = None
    assert download(site.url(), tmp_path, settings, sha256=SHA256).read_bytes() == BODY
    assert site.requests[-1]["Range"] == "bytes=1000-"


def test_wrong_hash_is_refused_and_nothing_is_kept(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """The file of another hash is gone, so that the next try begins anew."""
    site.body = BODY
    with pytest.raises(DigestMismatch, match=SHA256):
        download(site.url(), tmp_path, settings, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("with_length", [True, False])
def test_file_beyond_the_limit_is_refused(
    with_length: bool, site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Whether the server says the length or just goes on sending; exactly the limit is allowed."""
    site.with_length = with_length
    site.body = bytes(settings.download_max_bytes)
    assert download(site.url("a"), tmp_path, settings).stat().st_size == settings.download_max_bytes
    site.body += b"x"
    with pytest.raises(SourceTooLarge):
        download(site.url("b"), tmp_path, settings)
    files = Download.of(site.url("b"), tmp_path)
    assert not files.path.exists()
    assert not files.part.exists()


def test_busy_server_is_asked_again_after_a_pause(
    site: Site, settings: TrainingSettings, tmp_path: Path
) -> None:
    """503 and then the file: one pause, and all is well."""
    site.body, site.statuses = BODY, [503]
    pauses: list[float] = []
    assert download(site.url(), tmp_path, settings, pause=pauses.append).read_bytes() == BODY
    assert pauses == [0.5]


def test_missing_file_is_told_at_once(site: Site, settings: TrainingSettings, tmp_path: Path) -> None:
    """404 does not get better by asking again."""
    site.statuses = [404, 404]
    with pytest.raises(SourceUnreadable, match="404"):
        download(site.url(), tmp_path, settings)
    assert len(site.requests) == 1


def test_absent_server_is_an_operational_error(settings: TrainingSettings, tmp_path: Path) -> None:
    """Nobody listens there: the message says to run the command again."""
    with pytest.raises(FetchFailed) as caught:
        download("http://127.0.0.1:9/x.csv", tmp_path, settings, pause=no_pause)
    assert caught.value.next_step is not None
    assert "again" in caught.value.next_step


def test_secrets_in_an_address_are_not_shown() -> None:
    """User, password, query and fragment may be secrets."""
    assert shown("https://ann:pw@example.org/mail.csv?token=t#f") == "https://example.org/mail.csv"


def test_name_in_an_address_cannot_lead_outside(tmp_path: Path) -> None:
    """Only harmless characters of the last step are used."""
    path = Download.of("https://example.org/a/..%2F..%2Fetc%2Fpasswd", tmp_path).path
    assert path.parent == tmp_path
    assert "/" not in path.name
