"""What is compared is started and ended whole, counted honestly, and told with medians and ratios."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.comparison import ours, peers, report, rounds
from cli.comparison.processes import NotStarted, cpu_seconds, family, held_still, memory_bytes, started
from cli.comparison.rounds import Measured, Sample
from cli.comparison.systems import Running, Subject, System
from kit.errors import UsageError
from serving.load import Answer

ROOT = Path(__file__).parents[2]
IDLE = str(Path(__file__).with_name("idle.py"))


def alive(pid: int) -> bool:
    """Tells whether a process runs; one that nobody has waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def written(file: Path) -> Callable[[], bool]:
    """Returns whether a program and its child have told their process ids."""
    return lambda: file.exists() and len(file.read_text(encoding="utf-8").split()) == 2


def test_a_program_ends_with_its_child_when_the_measurement_fails(tmp_path: Path) -> None:
    """Whatever happens in between, and though it is held still."""
    file = tmp_path / "pids"
    command = (sys.executable, IDLE, str(file))
    pids: list[int] = []

    def measure(pid: int) -> None:
        pids.extend(int(each) for each in file.read_text(encoding="utf-8").split())
        assert [each.pid for each in family(pid)] == pids
        assert cpu_seconds([pid]) > 0
        assert memory_bytes([pid]) > memory_bytes([pids[1]]) > 0
        with held_still(pid):
            until(lambda: {each.status() for each in family(pid)} == {psutil.STATUS_STOPPED})
            raise RuntimeError("in between")

    with (
        pytest.raises(RuntimeError, match="in between"),
        started(command, {}, tmp_path / "log", written(file), seconds=60) as pid,
    ):
        measure(pid)
    assert len(pids) == 2
    assert not any(map(alive, pids))


def test_a_program_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    """The reason stands in the error."""
    command = (sys.executable, "-c", "raise SystemExit('no such model')")
    with (
        pytest.raises(NotStarted, match="no such model"),
        started(command, {}, tmp_path / "log", lambda: False, seconds=60),
    ):
        pass


def test_a_measurement_that_is_told_to_end_ends_what_it_started(tmp_path: Path) -> None:
    """SIGTERM to the command leaves nobody behind."""
    file = tmp_path / "pids"
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from cli.comparison.processes import ended_cleanly, started\n"
        f"file = Path({str(file)!r})\n"
        f"with ended_cleanly(), started((sys.executable, {IDLE!r}, str(file)), {{}}, file.parent / 'log',\n"
        "        lambda: file.exists(), seconds=60):\n"
        "    print('measuring', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        (sys.executable, "-c", program), stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as measuring:
        assert measuring.stdout is not None
        assert measuring.stdout.readline() == "measuring\n"
        pids = [int(each) for each in file.read_text(encoding="utf-8").split()]
        measuring.send_signal(signal.SIGTERM)
        assert measuring.wait(60) == 128 + signal.SIGTERM
    assert not any(map(alive, pids))


def test_a_peer_without_its_environment_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, not imitated."""
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    subject = Subject(tmp_path, tmp_path, tmp_path)
    own = [start for system, start in peers.peers() if system.name in {"MLServer", "BentoML", "Ray Serve"}]
    assert len(own) == 3
    for start in own:
        with pytest.raises(UsageError) as refused:
            start(subject, 1)
        assert refused.value.next_step == "Run `make peers`."


def test_every_peer_is_asked_with_the_whole_e_mail_and_understood() -> None:
    """Bytes that are no text travel too; what each one answers is a probability."""
    answers = {
        "KServe Python server": b'{"outputs": [{"name": "probabilities", "data": [0.75, 0.25]}]}',
        "mlflow models serve": b'{"predictions": [0.25]}',
        "MLServer": b'{"outputs": [{"name": "probability", "data": [0.25]}]}',
        "BentoML": b"0.25",
        "Ray Serve": b"0.25",
    }
    for system, _ in peers.peers():
        assert system.request("127.0.0.1:1", b"Subject: caf\xe9\n\n\x00").startswith(b"POST /")
        assert system.probability(answers[system.name]) == 0.25
    assert ours.GATEWAY.probability(b'{"probability": 0.25}') == 0.25
    assert ours.TRANSFORMER.probability(b'{"outputs": [{"name": "probability", "data": [0.25]}]}') == 0.25


def made(system: System, rates: list[float]) -> Measured:
    """Returns a system that was measured at these rates."""
    measured = Measured(
        Running(system, "127.0.0.1:1", (1,), 1), answers=100, memory=2**20, front_memory=2**20
    )
    for load in (*rounds.CONNECTIONS, rounds.OPEN):
        measured.samples[load] = [Sample(rate, 1 / rate, 2 / rate, 0.5 / rate) for rate in rates]
    return measured


def test_answers_that_fail_or_differ_are_counted_apart() -> None:
    """An answer that failed has no probability to compare; a difference in the last bits is none."""
    measured = Measured(Running(ours.GATEWAY, "127.0.0.1:1", (), 1))
    answers = [
        Answer(0, 0, 0, 200, None, b'{"probability": 0.5}'),
        Answer(1, 0, 0, 200, None, b'{"probability": 0.50000001}'),
        Answer(1, 0, 0, 200, None, b'{"probability": 0.6}'),
        Answer(1, 0, 0, 200, None, b'{"probability": 0.1}'),
        Answer(0, 0, 0, 503, None, b'{"code": "overloaded"}'),
    ]
    rounds.checked(measured, answers, {True: [0.5, 0.5], False: [0.1, 0.1]})
    assert (measured.answers, measured.failures, measured.wrong) == (5, 1, 2)
    assert measured.unknown == 1  # what the model says of an unknown sender


def test_the_report_tells_medians_spread_and_ratios_in_one_run() -> None:
    """The gateway leads; a ratio is of medians at 16 connections; what is not in the records is missed."""
    found = [
        made(ours.GATEWAY, [500, 700, 600]),
        made(ours.TRANSFORMER, [900, 1000, 800]),
        made(ours.EMBEDDED, [1200, 1200, 1200]),
        made(peers.peers()[1][0], [300, 200, 100]),
    ]
    found[0].remembered, found[2].remembered = 100, 98
    told = report.report(found, {})
    figures = {figure.name: figure for figure in told.figures}
    rate = figures["gateway, 16 connections"]
    assert (rate.value, rate.spread) == (600, (500, 700))
    assert rate.ratio == pytest.approx(600 / 900)
    assert figures["gateway: answers that are not in its records"].value == 0
    assert figures["gateway alone: answers that are not in its records"].value == 2
    added = figures["what the gateway adds to an e-mail, 1 connection, p50"]
    assert added.value == pytest.approx(1000 / 600 - 1000 / 900)
    rows = told.tables[0].rows
    assert [row[-2:] for row in rows] == [("1", "2.00"), ("0.67", "1.33"), ("0.50", "1"), ("3.00", "6.00")]
    assert rows[3][3] == "200 (100 to 300)"
