"""Importing any module does nothing: no file, no folder, no socket, no process, no thread."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = (
    "contracts", "kit", "records", "feature_repo", "training",
    "serving", "gateway", "monitoring", "pipelines", "cli",
)  # fmt: skip

PROBE = Path(__file__).with_name("import_probe.py")


def watched_imports(packages: Sequence[str], folder: Path) -> dict[str, Any]:
    """Returns what the probe saw in a process of its own that starts in `folder`."""
    answer = subprocess.run(
        (sys.executable, str(PROBE), json.dumps(packages)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert answer.returncode == 0, answer.stderr
    seen: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return seen


def test_importing_every_module_does_nothing() -> None:
    """A module is a definition; whatever acts is a function that someone calls."""
    seen = watched_imports(PACKAGES, Path(__file__).parents[2])
    assert seen["done"] == []
    assert seen["modules"] >= len(PACKAGES)


def test_the_probe_sees_a_module_that_acts(tmp_path: Path) -> None:
    """The detector fires: a module that makes a folder, a file and a thread is caught."""
    guilty = tmp_path / "guilty"
    guilty.mkdir()
    (guilty / "__init__.py").write_text(
        "import os, threading\n"
        f"os.makedirs({str(tmp_path)!r} + '/' + os.urandom(8).hex())\n"
        f"open({str(tmp_path / 'file')!r}, 'w').close()\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        encoding="utf-8",
    )
    done = watched_imports(["guilty"], tmp_path)["done"]
    assert any(line.startswith("os.mkdir") for line in done)
    assert any(line.startswith("open") for line in done)
    assert "a thread was started" in done
