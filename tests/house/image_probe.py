"""Imports modules with the packages of one lock file alone, from a folder that holds the code of an image.

Arguments: the folder of the code, the lock file, the modules. Prints one JSON document: every module of ours
that was loaded. A package that is installed here and not in the lock is as absent as it is in the image.
"""

import importlib
import importlib.metadata
import json
import re
import site
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


class Absent:
    """Hides every top-level module that only distributions outside of the lock bring."""

    def __init__(self, lock: Path) -> None:
        pins = re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text("utf-8"), re.MULTILINE)
        locked = {_normal(name) for name in pins}
        self.hidden = {
            module
            for module, distributions in importlib.metadata.packages_distributions().items()
            if not {_normal(name) for name in distributions} & locked
        }

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuses what the image does not have, and leaves the rest to others."""
        if name.partition(".")[0] in self.hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_in(folder: Path, path: str) -> bool:
    return Path(path).is_relative_to(folder) or "site-packages" in path


def main() -> None:
    """Imports and tells."""
    code, lock, *modules = sys.argv[1:]
    before = set(sys.modules)
    # Without the repository itself, to which a .pth file of site-packages has led.
    repository = Path(__file__).parents[2]
    sys.path = [path for path in sys.path if not _is_in(repository, path)]
    sys.path += [code, sysconfig.get_path("purelib"), *site.getsitepackages()]
    absent = Absent(Path(lock))
    ours = {path.name for path in Path(code).iterdir()}
    absent.hidden -= ours
    sys.meta_path.insert(0, absent)
    for module in modules:
        importlib.import_module(module)
    loaded = [name for name in sys.modules if name.partition(".")[0] in ours]
    hidden = [name for name in set(sys.modules) - before if name.partition(".")[0] in absent.hidden]
    sys.stdout.write(json.dumps({"ours": sorted(loaded), "hidden": sorted(hidden)}) + "\n")


if __name__ == "__main__":
    main()
