"""A program of Debian is found, or brought, or its tests skip and say why."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import debian


def script(path: Path, body: str) -> Path:
    """Writes an executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of PATH; it is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_program_on_path_is_taken_before_any_other(only_path: Path, tmp_path: Path) -> None:
    """What the person installed is what runs."""
    own = script(only_path / "promtool", "exit 0")
    (tmp_path / "tools").mkdir()
    script(tmp_path / "tools" / "promtool", "exit 0")
    assert debian.found("promtool", tmp_path / "tools") == own
    own.unlink()
    assert debian.found("promtool", tmp_path / "tools") == tmp_path / "tools" / "promtool"


def test_debians_own_name_of_a_program_is_found(only_path: Path, tmp_path: Path) -> None:
    """Debian's alertmanager is called prometheus-alertmanager."""
    own = script(only_path / "prometheus-alertmanager", "exit 0")
    assert debian.found("alertmanager", tmp_path) == own


def test_a_system_without_apt_says_so(only_path: Path, tmp_path: Path) -> None:
    """Nothing is guessed on a system that is not Debian."""
    with pytest.raises(debian.Unavailable, match="no apt-get"):
        debian.provide("promtool", tmp_path / "tools")


def test_a_package_that_cannot_be_got_tells_the_last_words_of_apt(only_path: Path, tmp_path: Path) -> None:
    """The reason is what a person would have read, after a second try with new lists."""
    tried = tmp_path / "tried"
    script(only_path / "apt-get", f'echo "$@" >> {tried}\necho "E: no network" >&2\nexit 100')
    with pytest.raises(debian.Unavailable, match="apt-get: E: no network"):
        debian.provide("promtool", tmp_path / "tools")
    assert [line.split()[-1] for line in tried.read_text("utf-8").splitlines()] == ["prometheus", "update"]


def test_a_program_that_does_not_run_here_is_not_taken(only_path: Path, tmp_path: Path) -> None:
    """A file of the right name is not yet a program that runs."""
    script(only_path / "promtool", 'echo "wrong processor" >&2\nexit 126')
    with pytest.raises(debian.Unavailable, match="promtool: wrong processor"):
        debian.provide("promtool", tmp_path / "tools")


def test_a_browser_is_not_installed_without_root(tmp_path: Path) -> None:
    """What only root may do is not tried, and the reason names the command."""
    code = (
        "import os; from pathlib import Path; from tests.kit import debian\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"
        "debian._install('chromium', Path('unused'))\n"
    )
    ended = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "only root may install it (apt-get install chromium)" in ended.stderr


def test_a_missing_program_skips_its_test_with_the_reason(only_path: Path, tmp_path: Path) -> None:
    """A skip that says nothing would be read as a pass."""
    (tmp_path / "promtool.missing").write_text("E: no network\n", encoding="utf-8")
    with pytest.raises(pytest.skip.Exception, match="no promtool here: E: no network"):
        debian.program("promtool", tmp_path)
