"""Imports every module of the packages named in the first argument twice; tells what the second time did.

The first time loads the libraries, which may do as they please; the second time, under an audit hook,
whatever happens is ours. Prints one JSON document: how many modules, and what was done.
"""

import importlib
import json
import os
import pkgutil
import sys
import threading
from typing import Any

WATCHED = {
    "os.fork", "os.mkdir", "os.putenv", "os.remove", "os.rename", "shutil.rmtree",
    "socket.bind", "socket.connect", "sqlite3.connect", "subprocess.Popen",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# Others run these, each within a context of its own: Alembic, Triton's stub, the peers that are measured.
SCRIPTS = (".migrations.env", ".migrations.versions", ".python_backend.model", ".peers.")


def modules_of(packages: list[str]) -> list[str]:
    """Returns the names of the packages and of every module below them."""
    names = list(packages)
    for package in packages:
        found = pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
        names += [module.name for module in found if not any(script in module.name for script in SCRIPTS)]
    return names


def main() -> None:
    """Imports twice, watches the second time, prints what was seen."""
    packages = json.loads(sys.argv[1])
    names = modules_of(packages)
    for name in names:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    done: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        opened_to_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if event in WATCHED or opened_to_write:
            done.append(f"{event} {arguments!r}")

    threads, variables, folder = threading.active_count(), dict(os.environ), os.getcwd()  # noqa: PTH109
    sys.dont_write_bytecode = True
    sys.addaudithook(watch)
    for name in names:
        importlib.import_module(name)
    if threading.active_count() != threads:
        done.append("a thread was started")
    if dict(os.environ) != variables:
        done.append("the environment was changed")
    if os.getcwd() != folder:  # noqa: PTH109
        done.append("the folder was changed")
    sys.stdout.write(json.dumps({"modules": len(names), "done": done}) + "\n")


if __name__ == "__main__":
    main()
