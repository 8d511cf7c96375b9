"""The Dockerfiles: clean by a linter, pinned, without root, and with the code that their images run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
HADOLINT = Path(sys.executable).with_name("hadolint")
PROBE = Path(__file__).with_name("image_probe.py")
PACKAGES = {"contracts", "kit", "records", "feature_repo", "training", "serving", "gateway", "monitoring",
            "pipelines", "cli"}  # fmt: skip

each = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)


def linted(file: Path) -> "subprocess.CompletedProcess[str]":
    """Returns what hadolint says of a file."""
    return subprocess.run([HADOLINT, "--no-color", file], capture_output=True, text=True, check=False)


def copied(file: Path) -> list[str]:
    """Returns what a Dockerfile copies from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", file.read_text("utf-8"), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def stages(file: Path) -> list[str]:
    """Returns the text of each stage."""
    return re.split(r"^FROM ", file.read_text("utf-8"), flags=re.MULTILINE)


@each
def test_the_linter_has_nothing_to_say(file: Path) -> None:
    """The real hadolint, with every rule."""
    answer = linted(file)
    assert (answer.returncode, answer.stdout) == (0, "")


def test_the_linter_speaks_when_there_is_something_to_say(tmp_path: Path) -> None:
    """A tag instead of a digest, and a cache left in the image."""
    bad = tmp_path / "bad.Dockerfile"
    bad.write_text("FROM python:latest\nRUN pip install numpy\n")
    answer = linted(bad)
    assert answer.returncode == 1
    assert "DL3007" in answer.stdout


@each
def test_base_images_are_pinned_by_digest(file: Path) -> None:
    """By an argument: with a digest as its default, or without one and with a check of what is given."""
    head, *froms = stages(file)
    assert all(re.match(r"\$\{[A-Z]+_IMAGE\}", stage) for stage in froms)
    for name, value in re.findall(r"^ARG ([A-Z]+_IMAGE)(?:=(\S+))?$", head, re.MULTILINE):
        if value:
            assert re.search(r"@sha256:[0-9a-f]{64}$", value)
        else:
            assert f'case "${{{name}}}" in *@sha256:*) ;; *)' in file.read_text("utf-8")


@each
def test_an_image_runs_without_root_and_says_how_to_ask_for_its_health(file: Path) -> None:
    """In its last stage; by number, which is what Kubernetes can check."""
    last = stages(file)[-1]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["1000:1000"]
    assert re.search(r"^HEALTHCHECK (--interval|NONE)", last, re.MULTILINE)


@each
def test_what_is_installed_has_a_hash_and_no_address(file: Path) -> None:
    """From whatever index the builder uses."""
    text = file.read_text("utf-8")
    installs = re.findall(r"install (?:.|\\\n)*", text)
    assert all("--require-hashes" in command for command in installs)
    assert [address for address in re.findall(r"\w+://[^\"' ]+", text) if "127.0.0.1" not in address] == []
    assert "apt-get" not in text


@each
def test_everything_that_is_copied_is_there_and_not_ignored(file: Path) -> None:
    """A path that .dockerignore hides is one that the builder does not find."""
    ignore = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    assert "*" in ignore
    allowed = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    for source in copied(file):
        assert (ROOT / source).exists(), source
        assert any(Path(source).match(pattern) for pattern in allowed), source


def imported(code: Path, lock: str, *modules: str) -> "subprocess.CompletedProcess[str]":
    """Imports modules as an image would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-B", PROBE, code, ROOT / "requirements" / f"{lock}.txt", *modules],
        capture_output=True, text=True, check=False, timeout=300, cwd=code,
    )  # fmt: skip


def code_of(file: Path, folder: Path) -> Path:
    """Returns a folder with the packages that a Dockerfile copies."""
    for source in set(copied(file)) & PACKAGES:
        shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


FUNCTION_MODULES = (
    "awslambdaric",
    "gateway.lambda_handler",
    "gateway.backends.embedded",
    "gateway.backends.oip",
    "feature_repo.online",
    "feature_repo.store",
    "xgboost",
)
TRANSFORMER_MODULES = ("serving.transformer.server", "serving.transformer.extraction_pool", "serving.scorer",
                       "serving.explanations", "feature_repo.online", "feature_repo.store")  # fmt: skip


def test_the_transformer_runs_on_the_packages_of_its_lock(tmp_path: Path) -> None:
    """With the code that its image copies: no engine of training, no registry, no records."""
    code = code_of(ROOT / "docker/transformer.Dockerfile", tmp_path / "code")
    answer = imported(code, "transformer", *TRANSFORMER_MODULES)
    assert answer.returncode == 0, answer.stderr
    seen: Any = json.loads(answer.stdout.splitlines()[-1])
    assert "serving.transformer.app" in seen["ours"]
    packages = {name.partition(".")[0] for name in seen["ours"]}
    assert packages == {"contracts", "kit", "feature_repo", "serving"}
    assert seen["hidden"] == []


def test_the_function_runs_on_the_packages_of_its_lock(tmp_path: Path) -> None:
    """The gateway with what it answers by itself; no Triton client of serving, no registry."""
    code = code_of(ROOT / "docker/lambda.Dockerfile", tmp_path / "code")
    answer = imported(code, "lambda", *FUNCTION_MODULES)
    assert answer.returncode == 0, answer.stderr
    seen: Any = json.loads(answer.stdout.splitlines()[-1])
    packages = {name.partition(".")[0] for name in seen["ours"]}
    assert packages == {"contracts", "kit", "records", "feature_repo", "serving", "gateway"}
    assert seen["hidden"] == []


@pytest.mark.parametrize("module", ["mlflow", "ray", "kfp", "cli.main", "records.model_registry"])
def test_what_an_image_does_not_hold_cannot_be_imported(module: str, tmp_path: Path) -> None:
    """The detector fires: installed here, absent there."""
    code = code_of(ROOT / "docker/transformer.Dockerfile", tmp_path / "code")
    answer = imported(code, "transformer", module)
    assert answer.returncode == 1
    assert "ModuleNotFoundError" in answer.stderr
