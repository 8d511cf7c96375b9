"""The scheduler as a real process: it runs the job at once, and ends cleanly when it is told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from kit.home import Home

_LIMIT_SECONDS = 120


def test_it_runs_the_job_and_ends_at_sigterm(home: Home, tmp_path: Path) -> None:
    """Without a prediction the job refuses; that ends the run and not the process."""
    log = tmp_path / "log"
    environment = {name: value for name, value in os.environ.items() if name != "RECORDS_URL"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-m", "monitoring"),
            env=environment | {"SLUICE_HOME": str(home.root), "MONITORING_DRIFT_EVERY": "1h"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(log, "drift_run_failed", process)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(_LIMIT_SECONDS) == 0
        finally:
            process.kill()
            process.wait()
    told = log.read_text("utf-8")
    assert "nothing_served" in told
    assert "drift_schedule_ended" in told
    assert "Traceback" not in told


def _wait_for(log: Path, event: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _LIMIT_SECONDS
    while event not in log.read_text("utf-8"):
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < until, log.read_text("utf-8")
        time.sleep(0.05)
