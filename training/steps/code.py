"""Which code makes what a step writes: an output of other code is never taken for that of today's.

What a step imports is followed through this repository, inside functions too, and the workload is added,
which is imported by its name. Changing the gate leaves the former outputs of the search as good as they were.
A workload of TRAINING_WORKLOADS is followed through its own package as well, and no further.
"""

import ast
import functools
import hashlib
import importlib.util
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
    listed = workloads.modules().get(workload)
    digest = hashlib.sha256(repr(sorted(libraries().items())).encode())
    for name, path in sorted(_sources(module) | (_sources(listed) if listed else frozenset())):
        digest.update(b"%s\0%s\0" % (name.encode(), path.read_bytes()))
    return digest.hexdigest()


@functools.cache
def _sources(module: str) -> frozenset[tuple[str, Path]]:
    """Returns every file of ours that `module` consists of or imports, at any depth, with its name.

    Ours is what lies in this repository, and the package that `module` itself is in.
    """
    roots = dict.fromkeys(_OURS, _ROOT) | _root_of(module.partition(".")[0])
    found: set[tuple[str, Path]] = set()
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        package = name.partition(".")[0]
        path = _file(name, roots[package]) if package in roots else None
        if path is None:
            continue
        beside = path.parent.iterdir() if path.parent != roots[package] else ()
        files = {path, *(each for each in beside if each.is_file() and each.suffix != ".py")}
        found |= {(each.relative_to(roots[package]).as_posix(), each) for each in files}
        waiting += _imported(path)
    return frozenset(found)


def _root_of(package: str) -> dict[str, Path]:
    """Returns the folder that `package` is imported from, under its name; nothing if it is not found."""
    if package in _OURS:
        return {}
    spec = importlib.util.find_spec(package)
    if spec is None:
        return {}
    if spec.submodule_search_locations:
        return {package: Path(next(iter(spec.submodule_search_locations))).parent}
    return {package: Path(spec.origin).parent} if spec.origin else {}


def _file(name: str, root: Path) -> Path | None:
    """Returns the source of a module below `root`; None for a name that is no module."""
    path = root.joinpath(*name.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def _imported(path: Path) -> Iterator[str]:
    """Yields the modules that a file imports, and the names it takes from them, which may be modules."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
