"""What the programs say: the end of a log, and what is added to it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from serving.local.configuration import LOG, LOGS

SUPERVISOR: Final = "supervisor"
"""The process manager's own log, beside those of the programs."""

_BLOCK_BYTES: Final = 64 * 1024
_POLL_SECONDS: Final = 0.2


def files(folder: Path) -> dict[str, Path]:
    """Returns the logs below `folder`, where this machine serves, by the name of what writes them."""
    found = {path.stem: path for path in sorted((folder / LOGS).glob("*.log"))}
    own = folder / LOG
    return found | ({SUPERVISOR: own} if own.exists() else {})


def last(path: Path, lines: int) -> list[str]:
    """Returns the last `lines` lines of a log, none without a file; control characters are spelt out."""
    try:
        with path.open("rb") as source:
            at = source.seek(0, 2)
            found = b""
            while at > 0 and found.count(b"\n") <= lines:
                step = min(_BLOCK_BYTES, at)
                at = source.seek(at - step)
                found = source.read(step) + found
    except FileNotFoundError:
        return []
    return [_printable(line) for line in found.splitlines()[-lines:]] if lines else []


def followed(path: Path) -> Iterator[str]:
    """Yields each line that is added to a log from now on, also after the log was rotated; never ends."""
    source = path.open("rb") if path.exists() else None
    if source is not None:
        source.seek(0, 2)
    rest = b""
    try:
        while True:
            block = source.read() if source is not None else b""
            if block:
                *whole, rest = (rest + block).split(b"\n")
                yield from (_printable(line) for line in whole)
                continue
            if path.exists() and (source is None or path.stat().st_ino != os.fstat(source.fileno()).st_ino):
                # Rotated: the former file is read to its end, and the new one from its beginning.
                if source is not None:
                    source.close()
                source = path.open("rb")
                continue
            time.sleep(_POLL_SECONDS)
    finally:
        if source is not None:
            source.close()


def _printable(line: bytes) -> str:
    """Returns a line that cannot steer a terminal."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    return "".join(
        character if character.isprintable() or character == "\t" else f"\\x{ord(character):02x}"
        for character in text
    )
