"""Which code makes what a step writes: an output of other code is never taken for that of today's.

What a step imports is followed through this repository, inside functions too, and the workload is added,
which is imported by its name. Changing the gate leaves the former outputs of the search as good as they were.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import training
from training import workloads
from training.lineage import libraries

_OURS: Final = frozenset({"contracts", "kit", "records", "feature_repo", "training"})
"""The packages that a step may import (pyproject.toml, import contracts)."""
_ROOT: Final = Path(training.__path__[0]).parent


def code_digest(module: str, workload: str) -> str:
    """Returns a SHA-256 over the source that `module` and a workload import, and the libraries' versions.

    Files that lie beside a module and are no Python count as its source: templates, for one. A workload that
    nobody lists adds nothing.
    """
    listed = workloads.MODULES.get(workload)
    digest = hashlib.sha256(repr(sorted(libraries().items())).encode())
    for path in sorted(_sources(module) | (_sources(listed) if listed else set())):
        name = str(path.relative_to(_ROOT))
        digest.update(b"%s\0%s\0" % (name.encode(), path.read_bytes()))
    return digest.hexdigest()


@functools.cache
def _sources(module: str) -> set[Path]:
    """Returns every file of this repository that `module` consists of or imports, at any depth."""
    found: set[Path] = set()
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file(name)
        if path is None:
            continue
        found |= {path, *(each for each in path.parent.iterdir() if each.is_file() and each.suffix != ".py")}
        waiting += _imported(path)
    return found


def _file(name: str) -> Path | None:
    """Returns the source of a module of ours; None for another's, and for a name that is no module."""
    package, *inside = name.split(".")
    if package not in _OURS:
        return None
    path = _ROOT.joinpath(package, *inside)
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def _imported(path: Path) -> Iterator[str]:
    """Yields the modules that a file imports, and the names it takes from them, which may be modules."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
