"""Who is signed in to the console: by an API key of the admins, for some hours, and not beyond the key.

A session is a sealed cookie. It names the key and which of its secrets opened it, and counts as long as that
secret does: a key that is revoked, has expired, is no admin's any more or was rotated ends its sessions with
the next request. Signing out ends one here as well, for whoever kept a copy of the cookie.
"""

import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import structlog

from contracts import gateway as gateway_paths
from kit.api_keys.attempts import Attempts
from kit.api_keys.holders import Holders
from kit.api_keys.keys import Key, Secret, secret_of
from monitoring.console import seals
from monitoring.durations import duration
from monitoring.errors import SignInRefused, SignInsExceeded
from monitoring.parts import Parts

WRONG_KEYS_PER_MINUTE: Final = 10
SIGN_IN_SECONDS: Final = 3600
"""How long a sign-in page may lie open."""
_SESSION: Final = "session"
_FORM: Final = "form"
_SIGN_IN: Final = "sign-in"
_ENDED: Final = 10_000
"""Ended sessions that are remembered; each is forgotten when it would have ended anyway."""
_NEXT: Final = "Make one on the machine of the gateway: sluice keys create NAME --admin"

log: Final = structlog.get_logger(__name__)


class Person(NamedTuple):
    """Someone who is signed in."""

    name: str
    """That of the key: it stands in histories as who did something."""
    session: str
    token: str
    """What a form of this session must hold."""


class People:
    """Lets people in and knows them again.

    Raises:
        KeysUnreadable: the file of keys is broken.
    """

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        path = settings.keys_file or gateway_paths.keys_file(parts.home.root)
        self._holders: Holders[Key] = Holders(path, lambda key: key)
        self._holders.start()
        self._attempts = Attempts(WRONG_KEYS_PER_MINUTE)
        self._ended: OrderedDict[str, float] = OrderedDict()
        self.lasts_seconds = int(duration(settings.session_lasts).total_seconds())
        self._secret = (
            settings.session_secret.get_secret_value().encode()
            if settings.session_secret
            else seals.kept_secret(parts.home.root / "monitoring" / "console.secret")
        )

    def sign_in(self, text: str, address: str, *, now: datetime | None = None) -> str:
        """Returns the cookie of a new session for the holder of the key `text`.

        Raises:
            SignInRefused: nobody has this key, it opens nothing any more, or it is no admin's.
            SignInsExceeded: it is wrong, and not the first such one from this address.
        """
        now = now or datetime.now(UTC)
        holder = self._holders.of(text)
        secret = None if holder is None else secret_of(holder.who, text, now)
        if holder is None or secret is None:
            self._count(address)
            log.info("sign_in_refused", reason="unknown")
            raise SignInRefused("Nobody has this key.", next_step="Check that it was copied whole.")
        key = holder.who
        if (state := key.state(now)) != "valid":
            log.info("sign_in_refused", reason=state, key=key.name)
            raise SignInRefused(f"The key {key.name} is {state}.", next_step=_NEXT)
        if not key.admin:
            log.info("sign_in_refused", reason="scope", key=key.name)
            raise SignInRefused(f"The key {key.name} is not an admin's.", next_step=_NEXT)
        log.info("signed_in", key=key.name)
        words = {
            "session": secrets.token_hex(16),
            "key": key.id,
            "proof": self._proof(secret),
            "until": int(now.timestamp()) + self.lasts_seconds,
        }
        return seals.sealed(self._secret, _SESSION, words)

    def known(self, cookie: str, *, now: datetime | None = None) -> Person | None:
        """Returns whose session the cookie is, or None if it is over or never was one."""
        now = now or datetime.now(UTC)
        words = seals.unsealed(self._secret, _SESSION, cookie)
        if words is None or words["until"] <= now.timestamp() or words["session"] in self._ended:
            return None
        holder = self._holders.by_id(words["key"])
        if holder is None or not self._still(holder.who, words, now):
            return None
        token = seals.mark(self._secret, _FORM, words["session"].encode("ascii"))
        return Person(holder.who.name, words["session"], token)

    def sign_out(self, person: Person) -> None:
        """Ends the session, wherever its cookie is kept."""
        now = time.time()
        self._ended[person.session] = now + self.lasts_seconds
        while self._ended and (len(self._ended) > _ENDED or next(iter(self._ended.values())) <= now):
            self._ended.popitem(last=False)
        log.info("signed_out", key=person.name)

    def form(self, *, now: datetime | None = None) -> str:
        """Returns what a sign-in page holds and its cookie too, so that no other page can sign anybody in."""
        at = int((now or datetime.now(UTC)).timestamp())
        return seals.sealed(
            self._secret, _SIGN_IN, {"number": secrets.token_hex(16), "until": at + SIGN_IN_SECONDS}
        )

    def require_form(self, cookie: str, field: str, *, now: datetime | None = None) -> None:
        """Returns if cookie and field are those of one sign-in page that is not too old.

        Raises:
            SignInRefused: they are not.
        """
        words = seals.unsealed(self._secret, _SIGN_IN, cookie)
        at = (now or datetime.now(UTC)).timestamp()
        same = secrets.compare_digest(cookie.encode(), field.encode())
        if words is None or not same or words["until"] <= at:
            raise SignInRefused(
                "This sign-in page was too old, or cookies are off.", next_step="Give the key again."
            )

    def _still(self, key: Key, words: dict[str, Any], now: datetime) -> bool:
        proofs = [self._proof(secret) for secret in key.secrets if secret.counts(now)]
        return key.admin and key.state(now) == "valid" and words["proof"] in proofs

    def _proof(self, secret: Secret) -> str:
        return seals.mark(self._secret, "proof", secret.salt.encode("ascii"))[:32]

    def _count(self, address: str) -> None:
        if wait_seconds := self._attempts.count(address):
            raise SignInsExceeded(
                f"More than {WRONG_KEYS_PER_MINUTE} wrong keys came from this address in a minute.",
                retry_after_seconds=wait_seconds,
            )
