"""The workloads by name: each is a module with `workload() -> Workload`, imported when it is asked for.

Two come with the platform. Others are named by the setting TRAINING_WORKLOADS, and stand in packages of their
own.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from contracts.workloads import DEFAULT as DEFAULT
from kit.errors import UsageError

if TYPE_CHECKING:
    from training.workload import Workload

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {"spam-detector": "training.workloads.spam_detector", "iris": "training.workloads.iris"}
)
"""Those that come with the platform."""

CHOICES: Final = f"{', '.join(MODULES)}, or one that TRAINING_WORKLOADS names"
"""For the help of commands, which reads no settings."""


class UnknownWorkload(UsageError):
    """A name that no workload has."""

    code = "unknown_workload"
    title = "Unknown workload"


class WorkloadUnusable(UsageError):
    """A workload that the setting names cannot be imported, or is none."""

    code = "workload_unusable"
    title = "Unusable workload"


def modules() -> Mapping[str, str]:
    """Returns the module of every workload by name: the platform's, and those of TRAINING_WORKLOADS.

    Raises:
        SettingsError: the setting is wrong.
        WorkloadUnusable: it takes a name that the platform has given.
    """
    from training.settings import TrainingSettings

    own = TrainingSettings.load().workloads
    if taken := sorted(own.keys() & MODULES.keys()):
        raise WorkloadUnusable(
            f"TRAINING_WORKLOADS names {taken[0]!r}, which comes with the platform.",
            next_step="Give yours another name: a model's versions would be of two kinds.",
        )
    return {**MODULES, **own}


def find(name: str) -> "Workload":
    """Returns the workload of that name.

    Raises:
        UnknownWorkload: there is none; the message holds the names.
        WorkloadUnusable: its module cannot be imported, holds no workload, or one of another name.
    """
    known = modules()
    if name not in known:
        raise UnknownWorkload(
            f"There is no workload {name!r}.",
            next_step=f"Choose one of: {', '.join(sorted(known))}. Your own: TRAINING_WORKLOADS.",
        )
    from training.workload import Workload  # the commands list the names above without numpy

    module = _imported(name, known[name])
    make = getattr(module, "workload", None)
    found = make() if callable(make) else None
    if not isinstance(found, Workload):
        raise WorkloadUnusable(
            f"The module {known[name]} of the workload {name!r} holds no function workload() that returns a "
            "training.workload.Workload.",
            next_step="Write one: docs/tutorials/bring-your-own-model.md shows it whole.",
        )
    if found.name != name:
        raise WorkloadUnusable(
            f"The module {known[name]} makes a workload that calls itself {found.name!r}, and not {name!r}.",
            next_step="Write the same name in its contract and in TRAINING_WORKLOADS.",
        )
    return found


def _imported(name: str, module: str) -> object:
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        # What is missing may be the module itself, or something that it imports: two different next steps.
        if exc.name is None or not f"{module}.".startswith(f"{exc.name}."):
            raise WorkloadUnusable(
                f"The module {module} of the workload {name!r} imports {exc.name}, which is not installed."
            ) from exc
        raise WorkloadUnusable(
            f"The module {module} of the workload {name!r} is not found.",
            next_step="Install its package, or put its folder, as an absolute path, on PYTHONPATH.",
        ) from exc
