"""Temporary folders that are known to belong to a process, so that those of a dead one can be cleared away.

A process that is killed leaves its folders behind. The next one that makes such a folder removes them.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

OWNER: Final = "owner"
_UNOWNED_SECONDS: Final = 86_400
"""A folder that tells no owner may be in the making; one of yesterday is not."""


def owned_folder(prefix: str, parent: Path) -> Path:
    """Returns a new folder in `parent` that belongs to this process, and clears away those of dead ones.

    Its name is `prefix` and eight characters. Whoever asked for it removes it.
    """
    import psutil

    clear_abandoned(prefix, parent)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    process = psutil.Process()
    (folder / OWNER).write_text(f"{process.pid} {process.create_time()}", encoding="ascii")
    return folder


def clear_abandoned(prefix: str, parent: Path) -> None:
    """Removes the folders in `parent` that `owned_folder` made for processes which are no more."""
    for folder in parent.glob(f"{prefix}*"):
        try:
            abandoned = folder.stat().st_uid == os.getuid() and not _has_owner(folder)
        except OSError:  # another process removes it at this moment
            continue
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)


def _has_owner(folder: Path) -> bool:
    import psutil

    told = (folder / OWNER).read_text(encoding="ascii").split() if (folder / OWNER).exists() else []
    if len(told) != 2:  # noqa: PLR2004 - process and time of its start
        return time.time() - folder.stat().st_mtime < _UNOWNED_SECONDS
    try:
        # A later process may have the same number, and then it began at another time.
        return bool(abs(psutil.Process(int(told[0])).create_time() - float(told[1])) < 1)
    except psutil.NoSuchProcess:
        return False
