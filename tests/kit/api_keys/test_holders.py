"""Who holds which key: by the key itself, and by its id for someone who showed it before."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs

from contracts.environments import Environment
from kit.api_keys import key_format, keys_file
from kit.api_keys.holders import Holders
from kit.api_keys.keys import Key, secret_of, with_created, with_revoked, with_rotated

PATIENCE_SECONDS = 60


def made(path: Path, name: str) -> tuple[Key, str]:
    """Makes a key and returns it with its text."""
    now = datetime.now(UTC)
    return keys_file.change(
        path, lambda former: with_created(former, name=name, now=now, environments=tuple(Environment))
    )


def test_a_holder_is_whatever_is_made_of_the_key(tmp_path: Path) -> None:
    """Once for each reading of the file; found by the key, and by its id."""
    path = tmp_path / "keys.json"
    key, text = made(path, "shop")
    called: list[str] = []

    def who(found: Key) -> str:
        called.append(found.name)
        return found.name.upper()

    holders = Holders(path, who)
    holders.start()
    for found in (holders.of(text), holders.by_id(key.id)):
        assert found is not None
        assert (found.who, found.revoked) == ("SHOP", False)
    assert called == ["shop"]
    assert holders.of(key_format.new_key(key.id)) is None
    assert holders.by_id("0123456789") is None
    assert holders.by_id("") is None


def test_a_change_of_the_file_is_seen_by_the_id_too(tmp_path: Path) -> None:
    """Revoked is told; a file that breaks changes nothing."""
    path = tmp_path / "keys.json"
    key, _ = made(path, "shop")
    holders = Holders(path, lambda found: found)
    holders.start()
    keys_file.change(path, lambda former: with_revoked(former, "shop", datetime.now(UTC)))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := holders.by_id(key.id)) or not found.revoked:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    path.write_text("{", encoding="utf-8")
    with capture_logs() as logs:
        while not logs:
            assert holders.by_id(key.id) is not None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert "keys_not_read" in json.dumps(logs)


def test_which_secret_of_a_key_opened_it(tmp_path: Path) -> None:
    """The former one until its grace ends, the new one, none."""
    path = tmp_path / "keys.json"
    _, former = made(path, "shop")
    now = datetime.now(UTC)
    key, fresh = keys_file.change(path, lambda keys: with_rotated(keys, "shop", timedelta(hours=1), now))
    assert secret_of(key, fresh, now) == key.secrets[0]
    assert secret_of(key, former, now) == key.secrets[1]
    assert secret_of(key, former, now + timedelta(hours=1)) is None
    assert secret_of(key, key_format.new_key(key.id), now) is None
