"""Folders that a killed process leaves behind are cleared away; those of living ones never."""

import os
import subprocess
import sys
import time
from pathlib import Path

from kit.owned_folders import OWNER, clear_abandoned, owned_folder

MAKE = "import sys; from pathlib import Path; from kit.owned_folders import owned_folder as made; "
PREFIX = "sluice-test-"


def test_the_folder_of_a_dead_process_goes_with_the_next_one(tmp_path: Path) -> None:
    """It is removed with what is in it; neither a living process' folder nor another's name is touched."""
    code = f"{MAKE}print(made({PREFIX!r}, Path(sys.argv[1])))"
    done = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path)), capture_output=True, text=True, check=True
    )
    left = Path(done.stdout.strip())
    (left / "logs").mkdir()
    (left / "logs" / "raylet.out").write_text("killed")
    (tmp_path / "other").mkdir()
    first = owned_folder(PREFIX, tmp_path)
    assert not left.exists()
    second = owned_folder(PREFIX, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"other", first.name, second.name}


def test_a_later_process_of_the_same_number_is_not_the_owner(tmp_path: Path) -> None:
    """Numbers of processes come again; the time of the start tells them apart."""
    folder = owned_folder(PREFIX, tmp_path)
    (folder / OWNER).write_text(f"{os.getpid()} 1.0")
    clear_abandoned(PREFIX, tmp_path)
    assert not folder.exists()


def test_a_folder_in_the_making_is_left_alone_and_one_of_yesterday_is_not(tmp_path: Path) -> None:
    """Both tell no owner."""
    for name, age in (("new", 0), ("old", 90_000)):
        folder = tmp_path / f"{PREFIX}{name}"
        folder.mkdir()
        os.utime(folder, (time.time() - age, time.time() - age))
    clear_abandoned(PREFIX, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}new"]
