"""A real Ray cluster on loopback: a head with its Jobs API, and further nodes, all by `ray start`."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.ray.session import _MANNERS

TOKEN = "a-token-for-tests-that-is-long-enough"
AUTHENTICATED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
WAIT_SECONDS = 180


def authenticate(patch: pytest.MonkeyPatch) -> None:
    """Gives this process the token of the tests; Ray may have been imported without any before."""
    # Ray reads some of them when it is imported, which is here and not in `opened`.
    for name, value in {**_MANNERS, **AUTHENTICATED}.items():
        patch.setenv(name, value)
    patch.delenv("RAY_ADDRESS", raising=False)
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


_FIRST = ("-m", "ray.scripts.scripts")
# A further node of a cluster on loopback is what Ray refuses with the variable above, and what it puts on
# another address without it: here it is told that 127.0.0.1 is meant.
_FURTHER = (
    "-c",
    """
from ray._private import ray_constants, services
from ray.scripts import scripts
ray_constants.ENABLE_RAY_CLUSTER = True
services.resolve_ip_for_localhost = str
scripts.main()
""",
)


@dataclass(frozen=True)
class Head:
    """Where the cluster is found."""

    address: str
    """For RAY_ADDRESS."""
    jobs: str
    """For the Jobs API."""


def free_ports(count: int) -> list[int]:
    """Returns ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def cluster(nodes: int, *, cpus: int = 1) -> Iterator[Head]:
    """Yields a cluster of `nodes` nodes with `cpus` CPUs each; nothing of it is left afterwards."""
    port, jobs, client = free_ports(3)
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    head = Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{jobs}")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(
            _node(
                folder / "head.log",
                cpus,
                *(
                    "--head",
                    "--no-monitor",
                    "--node-ip-address=127.0.0.1",
                    f"--port={port}",
                    f"--temp-dir={folder}/r",
                ),
                *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={jobs}"),
                f"--ray-client-server-port={client}",
            )
        )
        _wait_for(jobs, folder / "head.log")
        for number in range(1, nodes):
            stack.enter_context(
                _node(
                    folder / f"node-{number}.log",
                    cpus,
                    *(f"--address={head.address}", "--node-ip-address=127.0.0.1"),
                    start=_FURTHER,
                )
            )
        _wait_for_nodes(head, nodes)
        yield head


@contextlib.contextmanager
def _node(log: Path, cpus: int, *options: str, start: tuple[str, ...] = _FIRST) -> Iterator[None]:
    agent, metrics, runtime = free_ports(3)
    command = [
        *(sys.executable, *start, "start", "--block", "--disable-usage-stats"),
        *(f"--num-cpus={cpus}", "--num-gpus=0", "--object-store-memory=100000000"),
        # Neither an autoscaler nor a copy of the workers' logs is needed; each is a process.
        "--include-log-monitor=false",
        *(f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"),
        f"--runtime-env-agent-port={runtime}",
        *options,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **AUTHENTICATED, **LOOPBACK},
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, log: Path) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(f"no Ray head: {log.read_text()}")


def _wait_for_nodes(head: Head, nodes: int) -> None:
    """Asks the cluster's own state, in a process of its own, until all nodes are there and jobs are taken."""
    script = (
        "import sys, time\n"
        "from ray._private.state import GlobalState\n"
        "from ray._raylet import GcsClientOptions\n"
        "state = GlobalState()\n"
        "state._initialize_global_state(GcsClientOptions.create(sys.argv[1], None, True, False))\n"
        "while sum(node['Alive'] for node in state.node_table()) < int(sys.argv[2]):\n"
        "    time.sleep(0.2)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, head.address, str(nodes)],
        check=True,
        timeout=WAIT_SECONDS,
        env={**os.environ, **AUTHENTICATED, **LOOPBACK},
    )
