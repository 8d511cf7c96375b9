"""Who holds which key, from the file of keys as it is now.

The file is looked at when somebody asks, at most twice a second, and read again when it has changed. What
cannot be read is logged once and changes nothing: the keys of the last good file stay in force.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from kit.api_keys import keys_file
from kit.api_keys.key_format import id_of
from kit.api_keys.keys import Key, Keys, digest
from kit.errors import OperationalError

log = structlog.get_logger(__name__)

CHECK_SECONDS: Final = 0.5
Who = TypeVar("Who")
_Secret = tuple[bytes, bytes, float]
"""Salt, hash, and until when (seconds since 1970)."""
_FOREVER: Final = float("inf")
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Holder(Generic[Who]):
    """Who holds a key, and whether it still opens anything."""

    who: Who
    revoked: bool
    expires: float
    """Seconds since 1970."""


class Holders(Generic[Who]):
    """The keys in the file, ready to be compared with what a request presents.

    `who` makes of a key what is asked for again and again: it is called once for each key and file.
    """

    def __init__(self, path: Path, who: Callable[[Key], Who]) -> None:
        self._path = path
        self._who = who
        self._check_at = _NEVER
        self._seen: tuple[int, ...] | None = None
        self._held: dict[str, tuple[Holder[Who], tuple[_Secret, ...]]] = {}
        self._dummy: tuple[_Secret, ...] = ()

    def start(self) -> None:
        """Reads the file.

        Raises:
            KeysUnreadable: it is there and cannot be read.
        """
        self._seen = self._signature()
        self._hold(keys_file.read(self._path) or Keys())
        self._check_at = time.monotonic() + CHECK_SECONDS

    @property
    def valid(self) -> int:
        """How many keys open something now."""
        now = time.time()
        return sum(not held.revoked and now < held.expires for held, _ in self._held.values())

    def of(self, text: str) -> Holder[Who] | None:
        """Returns who holds the key `text`, or None if nobody does.

        An unknown id takes as long as a known one with a wrong secret.
        """
        self._look()
        key_id = id_of(text)
        if key_id is None:
            return None
        held, kept = self._held.get(key_id, (None, self._dummy))
        now, right = time.time(), False
        for salt, expected, until in kept:
            right |= hmac.compare_digest(digest(salt, text), expected) and now < until
        return held if right else None

    def by_id(self, key_id: str) -> Holder[Who] | None:
        """Returns who holds the key with this id, or None: for someone who showed the key itself before."""
        self._look()
        return self._held.get(key_id, (None, ()))[0]

    def _look(self) -> None:
        if time.monotonic() < self._check_at:
            return
        self._check_at = time.monotonic() + CHECK_SECONDS
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            keys = keys_file.read(self._path)
        except OperationalError as error:
            log.error("keys_not_read", reason=error.message, keys=len(self._held))  # noqa: TRY400 - said in full
            return
        if keys is None:
            log.error("keys_file_gone", path=str(self._path), keys=len(self._held))
            return
        self._hold(keys)
        log.info("keys_read", path=str(self._path), keys=len(self._held), valid=self.valid)

    def _signature(self) -> tuple[int, ...] | None:
        # A mounted Secret is replaced by moving a link, which stat follows to another inode.
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def _hold(self, keys: Keys) -> None:
        # Every key is compared with as many hashes: time does not tell which ones are being rotated.
        width = max((len(key.secrets) for key in keys.keys), default=1)
        dummies = tuple((secrets.token_bytes(16), secrets.token_bytes(32), _NEVER) for _ in range(width))
        self._held = {
            key.id: (self._holder(key), (*_kept(key), *dummies[len(key.secrets) :])) for key in keys.keys
        }
        self._dummy = dummies

    def _holder(self, key: Key) -> Holder[Who]:
        return Holder(self._who(key), key.revoked is not None, _seconds(key.expires))


def _kept(key: Key) -> list[_Secret]:
    return [
        (bytes.fromhex(secret.salt), bytes.fromhex(secret.hash), _seconds(secret.until))
        for secret in key.secrets
    ]


def _seconds(moment: datetime | None) -> float:
    return _FOREVER if moment is None else moment.timestamp()


def told(seconds: float) -> str:
    """Returns a moment as people read it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
