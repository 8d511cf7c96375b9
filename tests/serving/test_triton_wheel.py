"""Where Triton cannot run, the reason is told in words; where it can, it listens on loopback only."""

from pathlib import Path

import pytest

from serving.runtimes import triton_wheel
from serving.runtimes.triton import free_ports
from serving.runtimes.triton_wheel import Ports, TritonUnavailable, command, unavailable, wrong_platform


@pytest.mark.parametrize(
    ("platform", "told"),
    [
        (("darwin", "arm64", ("", "")), "this is darwin arm64"),
        (("win32", "AMD64", ("", "")), "this is win32 AMD64"),
        (("linux", "aarch64", ("glibc", "2.39")), "this is linux aarch64"),
        (("linux", "x86_64", ("", "")), "with glibc"),
        (("linux", "x86_64", ("glibc", "2.34")), "needs glibc 2.35 or newer"),
    ],
)
def test_platform_without_the_wheel_is_told_why(
    platform: tuple[str, str, tuple[str, str]], told: str
) -> None:
    """What it needs, and what is here."""
    reason = wrong_platform(*platform)
    assert reason is not None
    assert told in reason


@pytest.mark.parametrize("version", ["2.35", "2.36", "2.41", "3.0"])
def test_platform_with_the_wheel_is_not_complained_of(version: str) -> None:
    """Versions are numbers: 2.100 is newer than 2.35."""
    assert wrong_platform("linux", "x86_64", ("glibc", version)) is None
    assert wrong_platform("linux", "x86_64", ("glibc", "2.100")) is None


def test_the_reason_ends_with_what_to_do_instead() -> None:
    """The embedded backend needs no Triton."""
    error = TritonUnavailable("the wheel is not installed: make setup installs it")
    assert error.message == "Triton cannot run here: the wheel is not installed: make setup installs it."
    assert "embedded backend" in str(error.next_step)
    assert error.status == 503


@pytest.mark.skipif(unavailable() is not None, reason="the wheel's server cannot run here")
def test_command_listens_on_loopback_with_a_backend_of_its_own(tmp_path: Path) -> None:
    """Explicit control, a short exit, the stub beside the backend and executable; made once."""
    repository = tmp_path / "repository"
    how = command(repository, Ports(1, 2, 3), stop_seconds=5)
    for option in (
        "--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1",
        "--http-port=1", "--grpc-port=2", "--metrics-port=3", "--model-control-mode=explicit",
        "--load-model=*", "--exit-timeout-secs=3", f"--model-repository={repository}",
    ):  # fmt: skip
        assert option in how.arguments
    (backend,) = (tmp_path / triton_wheel.BACKENDS).iterdir()
    files = {path.name: path for path in (backend / "python").iterdir()}
    assert set(files) == {
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    }
    assert files["triton_python_backend_stub"].stat().st_mode & 0o111
    before = backend.stat().st_ino
    assert "--load-model=*" not in command(repository, Ports(1, 2, 3), load_all=False).arguments
    assert backend.stat().st_ino == before
    assert how.environment["PATH"].startswith(str(triton_wheel.ENVIRONMENT))


@pytest.mark.skipif(unavailable() is not None, reason="the wheel's server cannot run here")
def test_a_backend_that_cannot_be_put_in_its_place_is_an_error(tmp_path: Path) -> None:
    """Triton is not started with a folder that is not there."""
    command(tmp_path, ports=Ports(1, 2, 3), backends=tmp_path / "backends")
    (made,) = (tmp_path / "backends").iterdir()
    taken = tmp_path / "other" / made.name
    taken.parent.mkdir()
    taken.write_text("no folder")
    with pytest.raises(NotADirectoryError):
        command(tmp_path, ports=Ports(1, 2, 3), backends=taken.parent)
    assert list(taken.parent.iterdir()) == [taken]


def test_free_ports_are_three() -> None:
    """Each another."""
    assert len(set(free_ports())) == 3
