"""The tutorial's own code, run block by block as a reader would: real pipeline, real Triton, real client."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorials" / "bring-your-own-model.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What makes a run shorter, and changes nothing that the reader types.
SHORTER = {
    "TRAINING_EVALUATION_SEEDS": "[0, 1]",
    "TRAINING_BOOTSTRAP_RESAMPLES": "100",
    "SERVING_MLFLOW_PAGES": "false",
    "SERVING_MONITORING": "false",
    "SERVING_INSTANCES": "1",
}
OURS = (
    "SLUICE_",
    "TRAINING_",
    "PIPELINES_",
    "RECORDS_",
    "MLFLOW_",
    "RAY_",
    "SERVING_",
    "GATEWAY_",
    "MONITORING_",
)

pytestmark = [pytest.mark.tutorial, pytest.mark.xdist_group("pipelines")]


def blocks() -> list[tuple[str, str | None, str]]:
    """Returns language, file and text of each block of the page."""
    return [
        (language, file or None, text) for language, file, text in BLOCK.findall(TUTORIAL.read_text("utf-8"))
    ]


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A folder as `make setup` leaves it; what the tutorial leaves running is ended."""
    folder = tmp_path / "sluice"
    folder.mkdir()
    (folder / ".venv").symlink_to(ROOT / ".venv")
    yield folder
    home = tmp_path / "mine" / ".sluice"
    if list((home / "serving" / "routes").rglob("*.json")):  # `sluice down` removes them
        assert run("sluice down\n", folder, SLUICE_HOME=str(home)).returncode == 0


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of bash that stops at the first command that fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ("/bin/bash", "-eu", "-o", "pipefail", "-c", script),
        cwd=folder,
        env=kept | SHORTER | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_the_tutorial_does_what_it_says(clone: Path) -> None:
    """One shell runs its commands in order, and each of its files is saved when its turn comes."""
    script = ""
    for language, file, text in blocks():
        if language == "bash":
            # What a command prints is shown in the page by a block of its own.
            script += text
        elif file is not None:
            script += f"cat > {file} <<'END OF FILE'\n{text}END OF FILE\n"
    done = run(script, clone)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # The first five are malignant in the data; a forest may miss one of the five, and not four.
    verdicts = re.findall(
        r"^(?:staging|production) (benign|malignant) [01]\.\d\d$", done.stdout, re.MULTILINE
    )
    assert len(verdicts) == 10
    assert verdicts.count("malignant") >= 8
    assert "version 1 is in staging" in done.stdout


def test_the_page_shows_code_of_every_kind_that_the_test_runs() -> None:
    """A fence that was misspelt would be skipped in silence."""
    text = TUTORIAL.read_text("utf-8")
    assert len(blocks()) * 2 == len(re.findall(r"^```", text, re.MULTILINE))
    assert {language for language, _, _ in blocks()} == {"bash", "python", "text"}
    assert [file for _, file, _ in blocks() if file] == ["tumours.py", "ask.py"]
