"""`sluice keys`, as a person and a script use it."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from kit.api_keys import key_format


@pytest.fixture(autouse=True)
def fresh_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing was made yet."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str) -> int:
    """Returns the exit code of `sluice keys …`."""
    with pytest.raises(SystemExit) as left:
        main(["keys", *arguments])
    return int(left.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Returns what `sluice keys … --json` printed."""
    capsys.readouterr()
    assert run(*arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


def checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, *, code: int = 0
) -> Any:
    """Returns what `sluice keys check --json` says of a key on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return answer(capsys, "check", code=code)


def test_the_key_alone_goes_to_standard_output(capsys: pytest.CaptureFixture[str], fresh_home: Path) -> None:
    """So that `> shop.key` keeps it and nothing more; what it is for goes to standard error."""
    assert run("create", "shop", "--environment", "production", "--model", "iris") == 0
    shown = capsys.readouterr()
    text = shown.out.removesuffix("\n")
    assert key_format.is_whole(text)
    assert text not in shown.err
    assert "iris in production" in shown.err
    assert "cannot be shown again" in shown.err
    kept = (fresh_home / "gateway" / "keys.json").read_text(encoding="utf-8")
    assert text.split("_")[2] not in kept


def test_from_create_to_revoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script sees of each step."""
    made = answer(
        capsys, "create", "shop", "--environment", "staging", "--environment", "production",
        "--environment", "staging", "--model", "iris", "--admin", "--expires", "90d",
    )  # fmt: skip
    first = made.pop("key")
    assert made["environments"] == ["production", "staging"]
    assert (made["models"], made["admin"], made["state"]) == (["iris"], True, "valid")
    left = datetime.fromisoformat(made["expires"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert answer(capsys, "list") == [made]
    assert checked(monkeypatch, capsys, first + "\n") == made
    rotated = answer(capsys, "rotate", "shop")
    second = rotated.pop("key")
    assert rotated["former_until"] is not None
    assert rotated | {"former_until": None} == made
    assert checked(monkeypatch, capsys, first) == checked(monkeypatch, capsys, second) == rotated
    third = answer(capsys, "rotate", made["id"], "--grace", "0")["key"]
    assert checked(monkeypatch, capsys, second, code=1)["code"] == "key_missing"
    assert checked(monkeypatch, capsys, third)["former_until"] is None
    assert answer(capsys, "revoke", "shop")["state"] == "revoked"
    assert "revoked" in checked(monkeypatch, capsys, third, code=1)["detail"]
    listed = answer(capsys, "list")
    assert [each["state"] for each in listed] == ["revoked"]
    assert not any(each.split("_")[2] in json.dumps(listed) for each in (first, second, third))


def test_people_get_a_table_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """And before there is a key, how to make one."""
    assert run("list") == 0
    assert "sluice keys create" in capsys.readouterr().err
    assert run("create", "shop", "--environment", "staging") == 0
    secret = capsys.readouterr().out.split("_")[2].strip()
    assert run("list") == 0
    shown = capsys.readouterr()
    assert "shop" in shown.out
    assert secret not in shown.out + shown.err
    assert run("rotate", "shop") == 0
    assert "opens until" in capsys.readouterr().err
    assert run("revoke", "shop") == 0
    assert "is revoked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "shop"), "--environment"),
        (("create", "sh\top", "--admin"), "name of a key"),
        (("create", "shop", "--admin", "--model", "../x"), "name of a model"),
        (("create", "shop", "--admin", "--expires", "1999-01-01"), "over already"),
        (("create", "shop", "--admin", "--expires", "soon"), "30m, 24h"),
        (("create", "shop", "--environment", "test"), "staging"),
        (("rotate", "nobody"), "sluice keys list"),
        (("rotate", "nobody", "--grace", "-1h"), "30m, 24h"),
        (("revoke", "nobody"), "sluice keys list"),
    ],
)
def test_wrong_usage_changes_nothing(
    capsys: pytest.CaptureFixture[str], fresh_home: Path, arguments: tuple[str, ...], told: str
) -> None:
    """Exit 2, with what to write instead."""
    assert run(*arguments) == 2
    assert told in capsys.readouterr().err
    assert not (fresh_home / "gateway" / "keys.json").exists()


@pytest.mark.parametrize("text", ["", "hunter2", "\x00\xff", "sluice_0123456789_" + "a" * 49, "a" * 100_000])
def test_what_is_no_key_is_told_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Exit 1."""
    found = checked(monkeypatch, capsys, text, code=1)
    assert found["code"] == "key_missing"
    assert "hunter2" not in json.dumps(found)


def test_a_broken_file_is_exit_1_and_stays(capsys: pytest.CaptureFixture[str], fresh_home: Path) -> None:
    """Nothing is made anew over what may be mended."""
    path = fresh_home / "gateway" / "keys.json"
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    for arguments in (("list",), ("create", "shop", "--admin"), ("revoke", "shop")):
        assert run(*arguments) == 1
        assert str(path) in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "{"


def test_the_setting_names_another_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_home: Path
) -> None:
    """So a Secret for a cluster is made on any machine."""
    monkeypatch.setenv("GATEWAY_KEYS_FILE", str(tmp_path / "cluster" / "keys.json"))
    assert answer(capsys, "create", "shop", "--environment", "production")["name"] == "shop"
    assert (tmp_path / "cluster" / "keys.json").exists()
    assert not fresh_home.exists()


def test_a_place_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a mounted Secret cannot."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("GATEWAY_KEYS_FILE", str(tmp_path / "file" / "keys.json"))
    assert run("create", "shop", "--admin") == 1
    assert "docs/keys.md" in capsys.readouterr().err


def test_the_real_command_keeps_its_output_clean(tmp_path: Path) -> None:
    """A process of its own: nothing but the key on standard output, and the key nowhere else."""
    done = subprocess.run(
        (str(Path(sys.executable).with_name("sluice")), "keys", "create", "shop", "--admin"),
        env={**os.environ, "SLUICE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert key_format.is_whole(done.stdout.removesuffix("\n"))
    assert done.stdout.strip() not in done.stderr
