"""The key of a developer's machine: made when it is missing, and kept in the clear in a private file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from contracts.environments import Environment
from kit.api_keys import keys_file
from kit.api_keys.keys import Key, Keys, opens, with_created, with_revoked
from kit.files import write_text

log = structlog.get_logger(__name__)

NAME: Final = "development"
_PRIVATE: Final = 0o600


def ensured(keys: Path, plain: Path) -> None:
    """Sees to it that the file `plain` holds a key for both environments, all models and admin pages.

    A key that the file of keys does not know, or no longer lets in, is replaced by a new one.

    Raises:
        KeysUnreadable: the file of keys is broken.
        KeysUnwritable: it cannot be written.
        Locked: another process held it for half a minute.
    """
    made = keys_file.change(keys, lambda former: _with_development_key(former, plain))
    log.info("development_key", made=made, path=str(plain))


def _with_development_key(keys: Keys, plain: Path) -> tuple[Keys, bool]:
    now = datetime.now(UTC)
    kept = _text_in(plain)
    former = [key for key in keys.keys if key.name == NAME and key.revoked is None]
    if kept is not None and any(_complete(key, now) and opens(key, kept, now) for key in former):
        plain.chmod(_PRIVATE)
        return keys, False
    for key in former:
        keys, _ = with_revoked(keys, key.id, now)
    keys, (_, text) = with_created(keys, name=NAME, now=now, environments=tuple(Environment), admin=True)
    # First the text, then (by the caller) its hash: a crash between the two makes another key next time.
    write_text(plain, text + "\n", mode=_PRIVATE)
    return keys, True


def _text_in(plain: Path) -> str | None:
    try:
        text = plain.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if text.isascii() else None


def _complete(key: Key, now: datetime) -> bool:
    return (
        key.state(now) == "valid"
        and set(key.environments) == set(Environment)
        and key.models is None
        and key.admin
    )
