"""The lineage names data, code, parameters and libraries."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from training.lineage import LIBRARIES, UNKNOWN, git_commit, lineage
from training.workload import Dataset, Workload


def test_lineage_holds_everything_that_decides_the_model(
    flowers: tuple[Workload, Dataset, Any, Any],
) -> None:
    """Numbers of numpy become plain ones, so that JSON can hold them."""
    workload, data, _, _ = flowers
    parameters = {"max_depth": np.int64(4), "share": np.float32(0.5), "how": "x"}
    found = lineage(workload.contract, data, split_seed=3, parameters=parameters, run_ids={"mlflow": "r"})
    assert found.parameters == {"how": "x", "max_depth": 4, "share": 0.5}
    assert found.data_fingerprint == data.fingerprint
    assert found.schema_digest == workload.contract.schema_digest
    assert set(found.libraries) == set(LIBRARIES)
    assert found.run_ids == {"mlflow": "r"}


def test_commit_is_told_and_a_changed_file_shows(tmp_path: Path) -> None:
    """A model made of files that no commit holds says so."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1", encoding="utf-8")
    _git(tmp_path, "add", "a")
    _git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "one")
    clean = git_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "a").write_text("2", encoding="utf-8")
    assert git_commit(tmp_path) == f"{clean}-dirty"


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    """An image without git, or an installed wheel, still trains."""
    assert git_commit(tmp_path) == UNKNOWN


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607
