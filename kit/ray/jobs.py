"""A command as a job on a Ray cluster, by the Jobs API of its head node.

    endpoint = JobsEndpoint("http://head:8265")
    run_job(endpoint, JobRequest(("sluice", "pipeline", "run")), on_line=print)

The job's own process finds RAY_ADDRESS set, so `search` and `fit` within it use the whole cluster.
"""

import asyncio
import contextlib
import logging
import re
import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from kit.errors import CallerError, OperationalError, UsageError
from kit.ray.session import answers

_POLL_SECONDS: Final = 0.5
_LAST_LINES: Final = 20


class JobsAddressWrong(UsageError):
    """The address is missing, or is not one of a Jobs API."""

    code = "jobs_address"
    title = "No address of a Jobs API"


class JobsUnreachable(OperationalError):
    """The head node does not answer."""

    code = "jobs_unreachable"
    title = "Ray head unreachable"


class JobsRefused(CallerError):
    """The head node answers, and says no."""

    status = 403
    code = "jobs_refused"
    title = "Ray head refused"


class JobFailed(OperationalError):
    """The job ended with an error; `lines` are the last of its log."""

    code = "job_failed"
    title = "Job failed"

    def __init__(
        self,
        message: str,
        *,
        lines: tuple[str, ...],
        job_exit_code: int | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.lines = lines
        self.job_exit_code = job_exit_code


class JobStopped(OperationalError):
    """Somebody stopped the job."""

    code = "job_stopped"
    title = "Job stopped"


@dataclass(frozen=True)
class JobsEndpoint:
    """The Jobs API of a Ray head."""

    address: str
    token: SecretStr = field(default=SecretStr(""))
    """Sent as a bearer token; empty sends none."""


@dataclass(frozen=True)
class JobRequest:
    """What is to be run on the head node."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the job's process and of its workers."""
    folder: Path | None = None
    """Uploaded, and the working folder of the job; None where the cluster's image holds the code."""
    cpus: float = 0
    """Set aside for the command itself; its search and fit ask for their own."""


@dataclass(frozen=True)
class JobReport:
    """A job that succeeded."""

    job_id: str
    seconds: float


def run_job(endpoint: JobsEndpoint, request: JobRequest, *, on_line: Callable[[str], None]) -> JobReport:
    """Submits the job, hands over each line of its log as it appears, and returns when it has succeeded.

    Ctrl-C, or an error in `on_line`, stops the job.

    Raises:
        JobsAddressWrong: the address is empty, or is not one of HTTP.
        JobsUnreachable: the head does not answer.
        JobsRefused: the head wants another token, or does not accept the job.
        JobFailed: the command failed, or the cluster could not run it.
        JobStopped: the job was stopped.
    """
    started = time.monotonic()
    address = endpoint.address
    with _translated(address), _silent():
        client = _client(endpoint)
        job_id = client.submit_job(
            entrypoint=shlex.join(request.command),
            entrypoint_num_cpus=request.cpus or None,
            runtime_env={
                "env_vars": dict(request.environment),
                **({"working_dir": str(request.folder)} if request.folder else {}),
            },
        )
        last: deque[str] = deque(maxlen=_LAST_LINES)

        def take(line: str) -> None:
            last.append(line)
            on_line(line)

        try:
            status = _followed(client, job_id, take)
        except BaseException:
            # Also of Ctrl-C: what nobody follows any more should not hold the cluster.
            with contextlib.suppress(RuntimeError, OSError):
                client.stop_job(job_id)
            raise
        if status == "STOPPED":
            raise JobStopped(
                f"Job {job_id} was stopped.", next_step="Submit it again when you want it to run."
            )
        if status != "SUCCEEDED":
            raise JobFailed(
                f"Job {job_id} failed: {_reason(client, job_id)}.",
                lines=tuple(last),
                job_exit_code=client.get_job_info(job_id).driver_exit_code,
                next_step=f"Read its log: ray job logs --address {address} {job_id}",
            )
    return JobReport(job_id, time.monotonic() - started)


def stop_job(endpoint: JobsEndpoint, job_id: str) -> None:
    """Asks the head to stop a job; whoever follows it gets `JobStopped`.

    Raises:
        JobsUnreachable, JobsRefused: as `run_job`.
    """
    with _translated(endpoint.address), _silent():
        _client(endpoint).stop_job(job_id)


def _client(endpoint: JobsEndpoint) -> Any:
    address = urlsplit(endpoint.address)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise JobsAddressWrong(
            f"{endpoint.address or 'Nothing'} is not the address of a Jobs API.",
            next_step="Give something like http://head:8265.",
        )
    if not answers(address.hostname, address.port or (443 if address.scheme == "https" else 80)):
        raise JobsUnreachable(
            f"Nothing answers at {endpoint.address}.",
            next_step="Start the Ray head with its dashboard, or correct the address.",
        )
    from ray.job_submission import JobSubmissionClient

    token = endpoint.token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else None
    return JobSubmissionClient(endpoint.address, headers=headers)


def _followed(client: Any, job_id: str, on_line: Callable[[str], None]) -> str:
    """Returns the status in which the job ended; the log is read again from where a connection broke off."""
    import aiohttp

    log = _Log(on_line)
    while True:
        with contextlib.suppress(RuntimeError, aiohttp.ClientError):  # the job itself may be well
            asyncio.run(_tail(client, job_id, log))
        status = str(client.get_job_status(job_id))
        if status in ("SUCCEEDED", "FAILED", "STOPPED"):
            log.read_again(client.get_job_logs(job_id))
            log.close()
            return status
        time.sleep(_POLL_SECONDS)


async def _tail(client: Any, job_id: str, log: "_Log") -> None:
    seen = ""
    async with contextlib.aclosing(client.tail_job_logs(job_id)) as texts:
        async for text in texts:
            seen += text
            log.read_again(seen)


class _Log:
    """Hands over whole lines of a growing text, each once, however often the text is read from its start."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._told = 0
        self._rest = ""

    def read_again(self, text: str) -> None:
        fresh, self._told = text[self._told :], max(self._told, len(text))
        *lines, self._rest = (self._rest + fresh).split("\n")
        for line in lines:
            self._on_line(line)

    def close(self) -> None:
        if self._rest:
            self._on_line(self._rest)
            self._rest = ""


def _reason(client: Any, job_id: str) -> str:
    message = str(client.get_job_info(job_id).message or "").strip()
    # What follows is the end of the log, which the caller has seen.
    return message.partition(", last available logs")[0].splitlines()[0] if message else "it gave no reason"


@contextlib.contextmanager
def _translated(address: str) -> Iterator[None]:
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except (requests.ConnectionError, requests.Timeout, ConnectionError) as exc:
        raise JobsUnreachable(
            f"The Ray head at {address} stopped answering.", next_step="Check that it still runs."
        ) from exc
    except AuthenticationError as exc:
        raise _unauthorised(address) from exc
    except RuntimeError as exc:
        found = re.search(r"status code (\d{3})", str(exc))
        if found is None:
            raise JobsRefused(
                f"{address} is not a Jobs API of this Ray version.",
                next_step="Compare the Ray versions on both sides.",
            ) from exc
        if found[1] in ("401", "403"):
            raise _unauthorised(address) from exc
        raise JobsRefused(
            f"The Ray head at {address} did not accept the job (HTTP {found[1]}).",
            next_step="Check the command, its folder and its variables.",
        ) from exc


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps what Ray says of its connections off the terminal: the job's own lines are there."""
    from ray.dashboard.modules.job import sdk

    # The client's own logger is set to INFO when it is imported, whatever the one above it says.
    loggers = [logging.getLogger("ray"), sdk.logger]
    former = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, former, strict=True):
            logger.setLevel(level)


def _unauthorised(address: str) -> JobsRefused:
    return JobsRefused(
        f"The Ray head at {address} does not accept the token.", next_step="Set RAY_JOBS_TOKEN."
    )
