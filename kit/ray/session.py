"""Ray for the length of a block: a private one on loopback, or the cluster that RAY_ADDRESS names.

What Ray says goes to a log file; it sends no usage statistics; nothing of a private one outlives the block.
"""

import contextlib
import functools
import logging
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from kit.errors import OperationalError
from kit.owned_folders import owned_folder

ADDRESS: Final = "RAY_ADDRESS"
FOLDER: Final = "sluice-ray-"
"""What the folders of private Rays begin with; those of killed processes go with the next start."""
_LOGGERS: Final = ("ray", "optuna")
_CONNECT_SECONDS: Final = 5.0
# A socket's path may have 107 bytes, and Ray needs 75 of them below its own folder.
PLACE: Final = "/tmp"  # noqa: S108 - the folder in it is for this user only

_MANNERS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it ray.init warns that it will not hide GPUs some day.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ctrl-C raises KeyboardInterrupt here, instead of ending a search as if it were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # No CSV, JSON and TensorBoard files for each trial.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A trial reports rounds first and its value last.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    # Workers stay in the folder of the caller: relative paths mean the same in all of them.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The newer output of Tune prints boxes even when it is told to be silent.
    "RAY_AIR_NEW_OUTPUT": "0",
    # A worker's death is told by our own error; Ray prints a paragraph about it, to standard output.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # How often Ray Train looks whether its workers are done, and how long it waits for them to start.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
}
_PRIVATE: Final = {
    # The only way to make Ray listen on 127.0.0.1 under Linux, where it replaces loopback by the machine's
    # first address otherwise. Read when ray is imported.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # The one machine of a private Ray is nobody's spot instance: no process need watch for its end.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
_AUTH_MODE: Final = "RAY_AUTH_MODE"  # set by ray.init
_TOKEN: Final = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable


class PrivateRay(Protocol):
    """What bounds a Ray that is started here: settings of whoever starts one."""

    @property
    def ray_cpus(self) -> int:
        """CPUs; 0 means those that this process may use."""
        ...

    @property
    def ray_object_store_bytes(self) -> int:
        """Shared memory; what does not fit goes to disk."""
        ...


class RayUnavailable(OperationalError):
    """Ray did not start, or the cluster does not answer."""

    code = "ray_unavailable"
    title = "Ray is not available"


@contextlib.contextmanager
def opened(settings: PrivateRay, *, log: Path) -> Iterator[int]:
    """Yields the number of CPUs of the Ray of this process; a nested call uses the outer one.

    Args:
        settings: `ray_cpus` and `ray_object_store_bytes` bound a private Ray.
        log: File that what Ray says is appended to. If the block fails, the logs of a private Ray's own
            processes are kept in the folder `ray-logs` beside it.

    Raises:
        RayUnavailable: Ray did not start, or RAY_ADDRESS does not answer.
    """
    address = os.environ.get(ADDRESS, "")
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment(_MANNERS if address else {**_MANNERS, **_PRIVATE, **_password()}))
        import ray  # sets up loggers of its own, which are then replaced

        stack.enter_context(_logging_to(log))
        if not ray.is_initialized():
            started = _connected(address) if address else _started(settings, log.parent / "ray-logs")
            stack.enter_context(started)
        yield max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]


def joining() -> dict[str, str]:
    """Returns the variables with which a process on this machine joins the Ray of this one.

    To be called where a Ray is open; they hold its token.
    """
    import ray

    address = str(ray.get_runtime_context().gcs_address)
    names = (*_PRIVATE, _AUTH_MODE, _TOKEN)
    return {ADDRESS: address, **{name: os.environ[name] for name in names if name in os.environ}}


def answers(host: str, port: int) -> bool:
    """Returns whether anything accepts a connection there within five seconds."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _connected(address: str) -> Iterator[None]:
    import ray

    _refuse_silence(address)
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as exc:
        raise RayUnavailable(
            f"The Ray cluster at {address} did not accept this process.",
            next_step=f"Check that it runs the same Ray and Python version, or unset {ADDRESS} to run here.",
        ) from exc
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _started(settings: PrivateRay, kept_logs: Path) -> Iterator[None]:
    import ray

    folder = owned_folder(FOLDER, Path(PLACE))
    try:
        try:
            ray.init(
                address="local",
                num_cpus=settings.ray_cpus or len(os.sched_getaffinity(0)),
                num_gpus=0,
                object_store_memory=settings.ray_object_store_bytes,
                include_dashboard=False,
                log_to_driver=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(folder),
            )
        except Exception as exc:
            # Ray raises a bare Exception when one of its own processes is not there in time.
            _keep(folder, kept_logs)
            raise RayUnavailable(
                "Ray did not start on this machine.",
                next_step=f"See its logs in {kept_logs}; memory and the disk of {PLACE} are usual causes.",
            ) from exc
        try:
            yield
        except Exception:
            _keep(folder, kept_logs)
            raise
        finally:
            ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _password() -> dict[str, str]:
    # Ray keeps a token below the user's home unless it is given one; that there is one turns the check on.
    return {} if _TOKEN in os.environ else {_TOKEN: _token_of_this_process()}


@functools.cache
def _token_of_this_process() -> str:
    # Ray reads it once and keeps it, so that a second private Ray must have the same.
    return secrets.token_hex(32)


def _refuse_silence(address: str) -> None:
    # Ray itself tries for a minute, and then ends the whole process from C++.
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    if not answers(host.strip("[]"), int(port)):
        raise RayUnavailable(
            f"No Ray cluster answers at {address}.",
            next_step=f"Start it, correct {ADDRESS}, or unset {ADDRESS} to run on this machine.",
        )


def _keep(folder: Path, kept_logs: Path) -> None:
    # What failed is told, whether or not there is room for the logs of it.
    with contextlib.suppress(OSError):
        for logs in folder.glob("session_2*/logs"):
            shutil.copytree(logs, kept_logs, dirs_exist_ok=True, ignore=shutil.ignore_patterns("old"))


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for the block; they, and what Ray itself sets, are as before it afterwards."""
    former = {name: os.environ.get(name) for name in (*values, _AUTH_MODE)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _logging_to(log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    former = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagate in former:
            logger.handlers, logger.propagate = handlers, propagate
        # A full disk has no room for the last lines, and is an error of the block already.
        with contextlib.suppress(OSError):
            handler.close()
