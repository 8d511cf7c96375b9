"""The keys as they stand in their file, and what may be done with them: pure data and pure functions."""

import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contracts.environments import Environment
from kit.api_keys import key_format
from kit.errors import CallerError, UsageError

_NAME: Final = r"^[A-Za-z0-9]([A-Za-z0-9 ._@-]{0,62}[A-Za-z0-9])?$"
_MODEL: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
ModelName = Annotated[str, StringConstraints(pattern=_MODEL)]
State = Literal["valid", "revoked", "expired"]

_CLOSED = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KeyMissing(CallerError):
    """There is no key, or none that opens anything."""

    status = 401
    code = "key_missing"
    title = "A valid API key is needed"


class KeyUnknown(UsageError):
    """No key has this name or id, or it cannot be used for what is asked."""

    code = "key_unknown"
    title = "Not such a key"


class Secret(BaseModel):
    """One secret of a key, as a salted hash; `until` is set once another has taken its place."""

    model_config = _CLOSED

    salt: str = Field(pattern=r"^[0-9a-f]{32}$", repr=False)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    """HMAC-SHA256 of the whole key under the salt, in hex."""
    until: AwareDatetime | None = None

    def counts(self, now: datetime) -> bool:
        """Tells whether it still opens anything at `now`."""
        return self.until is None or now < self.until


class Key(BaseModel):
    """One key: for whom, for what, until when."""

    model_config = _CLOSED

    id: str = Field(pattern=rf"^[0-9a-z]{{{key_format.ID_LENGTH}}}$")
    name: Name
    environments: tuple[Environment, ...] = ()
    models: tuple[ModelName, ...] | None = None
    """None for all."""
    admin: bool = False
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    secrets: tuple[Secret, ...] = Field(min_length=1)
    """The newest first."""

    def state(self, now: datetime) -> State:
        """Tells whether it opens anything at `now`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"


class Keys(BaseModel):
    """The document that the file of keys holds; `version` is that of its form."""

    model_config = _CLOSED

    version: Literal[1] = 1
    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _every_id_once(self) -> "Keys":
        if len({key.id for key in self.keys}) != len(self.keys):
            raise ValueError("two keys have the same id")
        return self

    def with_key(self, changed: Key) -> "Keys":
        """Returns the keys with `changed` in the place of the one with its id, or at the end."""
        if all(key.id != changed.id for key in self.keys):
            return Keys(keys=(*self.keys, changed))
        return Keys(keys=tuple(changed if key.id == changed.id else key for key in self.keys))


def digest(salt: bytes, text: str) -> bytes:
    """Returns what is kept of a key `text`: its HMAC-SHA256 under `salt` (ADR 15 says why that is enough)."""
    return hmac.digest(salt, text.encode("ascii"), "sha256")


def opens(key: Key, text: str, now: datetime) -> bool:
    """Tells whether `text` is one of the key's secrets that still count at `now`."""
    return secret_of(key, text, now) is not None


def secret_of(key: Key, text: str, now: datetime) -> Secret | None:
    """Returns which of the key's secrets that still count at `now` is that of `text`; None if none is."""
    for secret in key.secrets:
        kept = bytes.fromhex(secret.hash)
        if secret.counts(now) and hmac.compare_digest(digest(bytes.fromhex(secret.salt), text), kept):
            return secret
    return None


def with_created(
    keys: Keys,
    *,
    name: str,
    now: datetime,
    environments: tuple[Environment, ...],
    models: tuple[str, ...] | None = None,
    admin: bool = False,
    expires: datetime | None = None,
) -> tuple[Keys, tuple[Key, str]]:
    """Returns the keys with a new one, and that one with its text.

    Raises:
        UsageError: the key would be for nothing, a name is none, or a key of this name is in use.
    """
    _require_names(name, models or ())
    if not environments and not admin:
        raise UsageError(
            "The key would be for nothing.",
            next_step="Say --environment staging, --environment production, both, or --admin.",
        )
    if any(key.name == name and key.revoked is None for key in keys.keys):
        raise UsageError(
            f"There is a key named {name} already.",
            next_step=f"Choose another name, or `sluice keys rotate '{name}'`, or revoke it first.",
        )
    taken = {key.id for key in keys.keys}
    key_id = next(fresh for fresh in iter(key_format.new_id, None) if fresh not in taken)
    text, secret = _new_secret(key_id)
    key = Key(
        id=key_id,
        name=name,
        environments=tuple(sorted(set(environments))),
        models=None if models is None else tuple(sorted(set(models))),
        admin=admin,
        created=now,
        expires=expires,
        secrets=(secret,),
    )
    return keys.with_key(key), (key, text)


def with_revoked(keys: Keys, which: str, now: datetime) -> tuple[Keys, Key]:
    """Returns the keys with the one of this name or id revoked, and that one; twice is as once.

    Raises:
        KeyUnknown: there is none.
    """
    key = found(keys, which)
    if key.revoked is None:
        key = key.model_copy(update={"revoked": now})
    return keys.with_key(key), key


def with_rotated(keys: Keys, which: str, grace: timedelta, now: datetime) -> tuple[Keys, tuple[Key, str]]:
    """Returns the keys with a new secret for the one of this name or id, and that one with its new text.

    What it had before opens for `grace` from now, and no longer.

    Raises:
        KeyUnknown: there is none, or it is revoked or expired.
    """
    key = found(keys, which)
    if (state := key.state(now)) != "valid":
        raise KeyUnknown(
            f"The key {key.name} ({key.id}) is {state}.",
            next_step="Make another with `sluice keys create`.",
        )
    text, fresh = _new_secret(key.id)
    former = [
        secret.model_copy(update={"until": min(secret.until or now + grace, now + grace)})
        for secret in key.secrets
        if grace and (secret.until is None or now < secret.until)
    ]
    key = key.model_copy(update={"secrets": (fresh, *former)})
    return keys.with_key(key), (key, text)


def checked(keys: Keys, text: str, now: datetime) -> Key:
    """Returns the key that `text` opens with.

    Raises:
        KeyMissing: nobody has it, or it is revoked or expired.
    """
    if not key_format.is_whole(text):
        raise KeyMissing("This is no key, or not the whole of one.", next_step="Copy it again.")
    for key in keys.keys:
        if key.id == key_format.id_of(text) and opens(key, text, now):
            if (state := key.state(now)) != "valid":
                raise KeyMissing(f"The key {key.name} ({key.id}) is {state}.", next_step="Make another one.")
            return key
    raise KeyMissing(
        "Nobody has this key, or another took its place.",
        next_step="See `sluice keys list`, or make another.",
    )


def found(keys: Keys, which: str) -> Key:
    """Returns the key with this id, else the one in use with this name, else the last revoked one.

    Raises:
        KeyUnknown: there is none.
    """
    named = [key for key in keys.keys if key.name == which]
    for key in (
        *(key for key in keys.keys if key.id == which),
        *(key for key in named if key.revoked is None),
        *reversed(named),
    ):
        return key
    raise KeyUnknown(f"No key has the name or id {which}.", next_step="See `sluice keys list`.")


def _require_names(name: str, models: tuple[str, ...]) -> None:
    if re.fullmatch(_NAME.strip("^$"), name, re.ASCII) is None:
        raise UsageError(
            f"{name!r} cannot be the name of a key.",
            next_step="Use 1 to 64 letters, digits, spaces and . _ @ -, a letter or digit first and last.",
        )
    for model in models:
        if re.fullmatch(_MODEL.strip("^$"), model, re.ASCII) is None:
            raise UsageError(
                f"{model!r} cannot be the name of a model.", next_step="Name one that `sluice status` shows."
            )


def _new_secret(key_id: str) -> tuple[str, Secret]:
    text = key_format.new_key(key_id)
    salt = secrets.token_bytes(16)
    return text, Secret(salt=salt.hex(), hash=digest(salt, text).hex())
