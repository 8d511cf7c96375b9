"""Files fetched over HTTP(S): whole or absent, and gone on with where an earlier try ended."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from kit.files import sha256_of, write_text
from kit.terminal import Bar, bar
from training.corpus.errors import DigestMismatch, FetchFailed, SourceTooLarge, SourceUnreadable
from training.settings import TrainingSettings

_REDIRECTS: Final = 5
_NAME_CHARACTERS: Final = 80
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_PAUSE_SECONDS: Final = 0.5


class _Interrupted(Exception):
    """A try ended early; the next one goes on."""


class Download(NamedTuple):
    """Where one address is kept: the whole file, the part so far, and what the server said of them."""

    url: str
    path: Path
    part: Path
    note: Path

    @classmethod
    def of(cls, url: str, folder: Path) -> "Download":
        """Returns the files of `url` in `folder`; the name in the address is kept where it is harmless."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", httpx.URL(url).path.rpartition("/")[2])[-_NAME_CHARACTERS:]
        path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name or 'download'}"
        return cls(url, path, path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.json"))


def download(
    url: str,
    folder: Path,
    settings: TrainingSettings,
    *,
    sha256: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Returns the whole file of `url` in `folder`; asks the server only for what is missing or has changed.

    Raises:
        FetchFailed: the server or the network fails, again and again; what came so far is kept.
        SourceUnreadable: the server refuses the address.
        SourceTooLarge: the file is larger than TRAINING_DOWNLOAD_MAX_BYTES.
        DigestMismatch: it is whole, and not the one that `sha256` promises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = Download.of(url, folder)
    if sha256 is not None and files.path.is_file() and sha256_of(files.path) == sha256:
        return files.path
    timeout = httpx.Timeout(settings.download_timeout_seconds)
    with (
        httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=_REDIRECTS) as client,
        bar(f"Downloading {files.path.name[17:]}") as advance,
    ):
        for attempt in range(settings.download_attempts):
            if attempt:
                pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                _transfer(client, files, settings.download_max_bytes, advance, trusted=sha256 is not None)
                break
            except (httpx.TransportError, _Interrupted) as exc:
                failure = exc
        else:
            raise FetchFailed(
                f"{shown(url)} broke off {settings.download_attempts} times: {type(failure).__name__}.",
                next_step="Run the command again: it goes on where it ended.",
            ) from failure
    _check(files, sha256)
    return files.path


def shown(url: str) -> str:
    """Returns `url` without user, password, query and fragment: they may be secrets."""
    return str(httpx.URL(url).copy_with(userinfo=b"", query=None, fragment=None))


def _transfer(client: httpx.Client, files: Download, max_bytes: int, advance: Bar, *, trusted: bool) -> None:
    note = _read_note(files.note)
    headers = {"Accept-Encoding": "identity"}
    validator = note.get("etag") or note.get("last_modified")
    if files.path.is_file() and validator:
        headers["If-None-Match" if note.get("etag") else "If-Modified-Since"] = validator
    elif files.part.is_file() and (validator or trusted) and files.part.stat().st_size:
        headers["Range"] = f"bytes={files.part.stat().st_size}-"
        if validator:
            headers["If-Range"] = validator
    with client.stream("GET", files.url, headers=headers) as answer:
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return
        start = _start(answer, files)
        _refuse(answer, start, max_bytes)
        write_text(files.note, json.dumps(_note_of(answer)) + "\n")
        _receive(answer, files.part, start, max_bytes, advance)
    files.part.replace(files.path)


def _start(answer: httpx.Response, files: Download) -> int:
    """Returns the offset at which the body of `answer` belongs."""
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if found and int(found[1]) == files.part.stat().st_size:
            return int(found[1])
    if answer.status_code in {httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE}:
        files.part.unlink(missing_ok=True)  # the part is of another file: begin anew
        raise _Interrupted
    return 0


def _refuse(answer: httpx.Response, start: int, max_bytes: int) -> None:
    address = shown(str(answer.request.url))
    if answer.status_code in _RETRIED:
        raise _Interrupted
    if not answer.is_success:
        raise SourceUnreadable(
            f"{address} answers with status {answer.status_code}.", next_step="Check the address."
        )
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and start + int(length) > max_bytes:
        raise _too_large(address, max_bytes)


def _receive(answer: httpx.Response, part: Path, start: int, max_bytes: int, advance: Bar) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isdigit():
        advance.total(start + int(length))
    received = start
    with part.open("ab" if start else "wb") as sink:
        for chunk in answer.iter_raw():
            received += len(chunk)
            if received > max_bytes:
                part.unlink()
                raise _too_large(shown(str(answer.request.url)), max_bytes)
            sink.write(chunk)
            advance(len(chunk))


def _too_large(address: str, max_bytes: int) -> SourceTooLarge:
    return SourceTooLarge(
        f"{address} is larger than {max_bytes:,} bytes.",
        next_step="If you trust it, raise TRAINING_DOWNLOAD_MAX_BYTES.",
    )


def _check(files: Download, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = sha256_of(files.path)
    if found != sha256:
        files.path.unlink()
        files.note.unlink(missing_ok=True)
        raise DigestMismatch(
            f"{shown(files.url)} has the SHA-256 {found}, and not {sha256}.",
            next_step="Check the address and the hash; the download was thrown away.",
        )


def _note_of(answer: httpx.Response) -> dict[str, Any]:
    etag = answer.headers.get("ETag", "")
    # A weak tag promises the same meaning, not the same bytes: parts cannot be joined by it.
    strong = etag if etag and not etag.startswith("W/") else None
    return {"etag": strong, "last_modified": answer.headers.get("Last-Modified")}


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
