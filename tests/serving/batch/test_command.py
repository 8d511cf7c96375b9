"""`sluice batch score`, with a real registry."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main
from contracts.environments import Environment
from kit.bundle import Bundle
from kit.home import Home
from kit.onnx_function import OnnxFunction
from tests.serving.batch.inputs import answers
from tests.serving.local.conftest import register

# MLflow's mapping of its tables, under SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")

Sluice = Callable[..., tuple[int, Any]]


@pytest.fixture
def sluice(
    tmp_path: Path,
    flowers_1: Bundle,
    flowers_2: Bundle,
    empty_registry: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Sluice:
    """Runs the command where version 2 of the flowers is in staging; returns exit code and document."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shutil.copy(empty_registry, tmp_path / "home")
    register(Home(tmp_path / "home"), [flowers_1, flowers_2], {Environment.STAGING: "2"})
    capsys.readouterr()

    def run(*words: object) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as left:
            main(["batch", "score", "--workload", "iris", "--json", *map(str, words)])
        return int(str(left.value.code)), json.loads(capsys.readouterr().out)

    return run


def test_the_version_of_an_environment_or_the_named_one_scores(
    sluice: Sluice, tmp_path: Path, flowers_1: Bundle, flowers_2: Bundle
) -> None:
    """Staging if nothing is said; the bundle is fetched from the registry; errors are documents too."""
    matrix = np.random.default_rng(2).normal(3, 1, (25, 4)).astype(np.float32)
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": list(range(25)), "features": matrix.tolist()}), rows)
    scoring: list[tuple[list[str], str, Bundle]] = [
        ([], "2", flowers_2),
        (["--env", "staging"], "2", flowers_2),
        (["--version", "1"], "1", flowers_1),
    ]
    for words, version, bundle in scoring:
        out = tmp_path / f"out{len(words)}{version}"
        code, told = sluice(rows, out, *words)
        assert (code, told["version"], told["rows"], told["scored"]) == (0, version, 25, 25)
        assert told["bundle_digest"] == bundle.digest
        expected = OnnxFunction(bundle.model.read_bytes())({"features": matrix})
        assert [row["label"] for row in answers(out)] == expected["label"].tolist()
        assert [row["probabilities"] for row in answers(out)] == expected["probabilities"].tolist()
    for words, wanted, word in (
        (["--env", "production"], 1, "No version of iris is in production"),
        (["--version", "7"], 1, "version 7 of iris"),
        (["--version", "1", "--env", "staging"], 2, "either"),
    ):
        code, problem = sluice(rows, tmp_path / "none", *words)
        assert code == wanted
        assert word in problem["detail"]
    assert not (tmp_path / "none").exists()
