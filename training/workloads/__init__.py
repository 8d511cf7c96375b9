"""The workloads by name: each is a module with `workload() -> Workload`, imported when it is asked for."""

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
"""To add one, write its module and list it here."""


class UnknownWorkload(UsageError):
    """A name that no workload has."""

    code = "unknown_workload"
    title = "Unknown workload"


def find(name: str) -> "Workload":
    """Returns the workload of that name.

    Raises:
        UnknownWorkload: there is none; the message holds the names.
    """
    if name not in MODULES:
        raise UnknownWorkload(
            f"There is no workload {name!r}.", next_step=f"Choose one of: {', '.join(sorted(MODULES))}."
        )
    from training.workload import Workload  # the commands list the names above without numpy

    found = import_module(MODULES[name]).workload()
    assert isinstance(found, Workload)  # noqa: S101 - the promise of the modules listed above
    return found
