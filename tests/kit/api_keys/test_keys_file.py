"""The file of keys: private, whole, one change at a time, and an error that says what is wrong with it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.environments import Environment
from kit.api_keys import keys_file
from kit.api_keys.keys import Keys, with_created
from kit.api_keys.keys_file import KeysUnreadable, KeysUnwritable

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MAKING = Path(__file__).with_name("making.py")
ROOT = Path(__file__).resolve().parents[3]


def with_one(name: str = "shop") -> Keys:
    """A document with one key."""
    return with_created(Keys(), name=name, now=NOW, environments=(Environment.STAGING,))[0]


def test_what_is_written_is_read_again_and_private(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask."""
    path = tmp_path / "deep" / "keys.json"
    former = os.umask(0)
    try:
        keys_file.write(path, with_one())
    finally:
        os.umask(former)
    assert path.stat().st_mode & 0o777 == 0o600
    keys = keys_file.read(path)
    assert keys is not None
    assert [key.name for key in keys.keys] == ["shop"]
    assert keys_file.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Invalid JSON"),
        (b'{"version": 1, "keys": [', "Invalid JSON"),
        (b"\xff\xfe\x00", "Invalid JSON"),
        (b"[]", "object"),
        (b'{"version": 2, "keys": []}', "version"),
        (b'{"version": 1, "keys": [], "more": 1}', "more"),
        (b'{"version": 1, "keys": [{"id": "hunter2"}]}', "keys.0"),
    ],
)
def test_a_broken_file_is_told_without_its_content(tmp_path: Path, content: bytes, told: str) -> None:
    """And what to do about it."""
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    with pytest.raises(KeysUnreadable, match=told) as caught:
        keys_file.read(path)
    assert str(path) in caught.value.message
    assert "hunter2" not in caught.value.message
    assert "sluice keys create" in str(caught.value.next_step)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    """What the system says, and no stack."""
    with pytest.raises(KeysUnreadable, match="Is a directory"):
        keys_file.read(tmp_path)


def test_two_keys_of_one_id_are_a_broken_file(tmp_path: Path) -> None:
    """Nobody could tell which of them is meant."""
    path = tmp_path / "keys.json"
    document = json.loads(with_one().model_dump_json())
    document["keys"] *= 2
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KeysUnreadable, match="same id"):
        keys_file.read(path)


def test_a_change_of_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    """What is in it may be mended by hand."""
    path = tmp_path / "keys.json"
    path.write_bytes(b"{")
    with pytest.raises(KeysUnreadable):
        keys_file.change(path, lambda former: (former, None))
    assert path.read_bytes() == b"{"


def test_a_full_disk_leaves_the_former_file(tiny_disk: Path) -> None:
    """It is replaced whole or not at all."""
    path = tiny_disk / "keys.json"
    keys_file.write(path, with_one("first"))
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "filled").write_bytes(b"0" * (4 << 20))
    with pytest.raises(KeysUnwritable, match="No space"):
        keys_file.write(path, with_one("second"))
    assert path.read_bytes() == before


def test_many_processes_at_once_lose_no_key(tmp_path: Path) -> None:
    """Three make and revoke at once, while this one reads: never half a file, and every change in it."""
    path = tmp_path / "keys.json"
    count = 6
    makers = [
        subprocess.Popen((sys.executable, str(MAKING), str(path), f"maker-{number}", str(count)), cwd=ROOT)
        for number in range(3)
    ]
    while any(maker.poll() is None for maker in makers):
        keys_file.read(path)
    assert [maker.wait() for maker in makers] == [0] * 3
    keys = keys_file.read(path)
    assert keys is not None
    revoked = {key.name: key.revoked is not None for key in keys.keys}
    assert revoked == {
        f"maker-{number}-{index}": bool(index % 2) for number in range(3) for index in range(count)
    }
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]
