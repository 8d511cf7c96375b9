"""`sluice bench gateway`: the gateway's cost and truth beside its peers, in one run."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

from cli.comparison import ours, peers, processes, report
from cli.comparison.rounds import every, probabilities, rounds
from cli.comparison.systems import Running, Subject
from kit.benchmark import Report
from kit.errors import OperationalError, SluiceError
from kit.home import Home
from serving.peers.detector import Detector
from serving.runtimes import triton as runtime
from serving.transformer.benchmarks import corpus, newest


class Silent(OperationalError):
    """A system that had answered stopped doing so."""

    code = "silent"
    title = "A measured system stopped answering"


def gateway(home: Home) -> Report:
    """Returns rates, times, processor time, memory and truth of the gateway and of its peers.

    A peer that cannot be measured is told in `missing` and does not keep the others from it.

    Raises:
        UsageError: there is no corpus, or no model version.
        TritonUnavailable: Triton cannot run here.
        NotStarted: one of our own processes did not start.
    """
    emails, bundle = corpus(home), newest(home)
    missing: dict[str, SluiceError] = {}
    with (
        processes.ended_cleanly(),
        tempfile.TemporaryDirectory(prefix="sluice-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as running,
    ):
        subject = Subject(bundle.folder, home.root, Path(name))
        servers = running.enter_context(ours.servers(bundle, subject))
        systems = ours.systems(running, subject, servers)
        systems += _peers(running, replace(subject, triton=servers.triton), missing)
        truth = {
            True: probabilities(ours.direct(servers), emails),
            False: Detector(bundle.folder).probabilities(emails),
        }
        found = rounds(systems, emails, truth)
        for measured in found:
            if measured.running.system.ours:
                every(measured, emails, truth)
            measured.memory = processes.memory_bytes(measured.running.pids)
            measured.front_memory = processes.memory_bytes([measured.running.front])
        running.close()  # what is to be remembered is written by now
        for measured in found:
            measured.remembered = ours.recorded(subject, measured.running)
    missing |= {
        one.running.system.name: Silent(f"{one.running.system.name} stopped answering.")
        for one in found
        if one.silent
    }
    return report.report([one for one in found if not one.silent], missing)


def _peers(running: contextlib.ExitStack, subject: Subject, missing: dict[str, SluiceError]) -> list[Running]:
    """Starts each peer that can be started; the reason of any other goes to `missing`."""
    systems = []
    for system, program in peers.peers():
        port = runtime.free_ports().http
        log = subject.folder / f"{system.name.replace(' ', '-')}.log"
        try:
            how = program(subject, port)
            pid = running.enter_context(
                processes.started(how.command, how.environment, log, how.ready, seconds=how.seconds)
            )
        except SluiceError as exc:
            missing[system.name] = exc
            continue
        triton = (subject.triton.pid,) if system.senders and subject.triton else ()
        systems.append(Running(system, f"127.0.0.1:{port}", (pid, *triton), pid))
    return systems
