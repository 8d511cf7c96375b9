"""What goes to a cluster: the repository's file is what the code compiles, and each task has its profile."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import pipelines
from pipelines.compilation import compile_to, documents
from pipelines.profiles import PROFILES
from pipelines.settings import PipelinesSettings
from training.steps.step import ORDER

GOLDEN = Path(pipelines.__file__).parent / "golden" / "training.yaml"


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    """The two documents, with an image of our own."""
    return documents(PipelinesSettings(image="registry.example.org/sluice@sha256:1", secret="stores"))


@pytest.fixture(scope="module")
def tasks(compiled: dict[str, Any]) -> dict[str, Any]:
    """The tasks inside the exit handler, by name."""
    inside: dict[str, Any] = compiled["pipeline_spec"]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    return inside


def executor(compiled: dict[str, Any], name: str) -> dict[str, Any]:
    """The container of a task."""
    found: dict[str, Any] = compiled["pipeline_spec"]["deploymentSpec"]["executors"][f"exec-{name}"][
        "container"
    ]
    return found


def platform(compiled: dict[str, Any], name: str) -> dict[str, Any]:
    """What a task asks Kubernetes for."""
    kubernetes = compiled["platform_spec"]["platforms"]["kubernetes"]
    found: dict[str, Any] = kubernetes["deploymentSpec"]["executors"][f"exec-{name}"]
    return found


def test_the_file_in_the_repository_is_what_the_code_compiles(tmp_path: Path) -> None:
    """When this fails and the change is meant: sluice pipeline compile -o pipelines/golden/training.yaml."""
    made = tmp_path / "made.yaml"
    compile_to(made, PipelinesSettings())
    assert made.read_text(encoding="utf-8") == GOLDEN.read_text(encoding="utf-8")


def test_the_tasks_are_the_steps_and_one_that_closes(compiled: dict[str, Any], tasks: dict[str, Any]) -> None:
    """No more and no less; the last one runs whatever happened."""
    assert set(tasks) == set(ORDER)
    outside = compiled["pipeline_spec"]["root"]["dag"]["tasks"]
    assert outside["close"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert set(PROFILES) == {*ORDER, "close"}


def test_there_is_no_condition(compiled: dict[str, Any], tasks: dict[str, Any]) -> None:
    """A gate is a task that fails: a condition that goes wrong skips its branch, and the run ends well."""
    assert all("condition" not in task.get("triggerPolicy", {}) for task in tasks.values())
    assert "condition" not in yaml.safe_dump(compiled["pipeline_spec"]["root"])


def test_nothing_is_staged_before_the_gate_and_nothing_registered_before_the_export(
    tasks: dict[str, Any],
) -> None:
    """The order is held by what each task needs."""
    needs = {name: set(task.get("dependentTasks", ())) for name, task in tasks.items()}
    assert "gate" in needs["stage"]
    assert {"register", "export", "evaluate", "features"} <= needs["gate"]
    assert "export" in needs["register"]
    assert needs["features"] == {"validate"}


@pytest.mark.parametrize("name", [*ORDER, "close"])
def test_every_task_has_image_resources_timeout_secret_and_run_id(
    compiled: dict[str, Any], name: str
) -> None:
    """Nothing is left to the defaults of a cluster."""
    profile, container, extra = PROFILES[name], executor(compiled, name), platform(compiled, name)
    assert container["image"] == "registry.example.org/sluice@sha256:1"
    resources = container["resources"]
    assert resources["resourceMemoryLimit"] == profile.memory[1]
    assert resources["resourceCpuRequest"] == profile.cpu[0]
    assert extra["activeDeadlineSeconds"] == str(profile.minutes * 60)
    assert extra["imagePullPolicy"] == "IfNotPresent"
    assert {item["secretName"] for item in extra["secretAsEnv"]} == {"stores"}
    assert extra["fieldPathAsEnv"] == [
        {"name": "PIPELINES_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}
    ]
    assert ("pvcMount" in extra) == profile.reads_home


@pytest.mark.parametrize("name", ORDER)
def test_caching_and_retries_are_set_for_each_task(tasks: dict[str, Any], name: str) -> None:
    """What decides is never retried; what looks at the world is never cached."""
    profile, task = PROFILES[name], tasks[name]
    assert task["cachingOptions"].get("enableCache", False) == profile.cached
    assert task.get("retryPolicy", {}).get("maxRetryCount", 0) == profile.retries
    if name in {"validate", "gate", "stage"}:
        assert profile.retries == 0
    if name in {"load", "register", "gate", "stage"}:
        assert not profile.cached


def test_no_task_installs_anything(compiled: dict[str, Any]) -> None:
    """The image holds what runs: nothing comes from the network at start."""
    for name in ORDER:
        assert "pip install" not in " ".join(executor(compiled, name)["command"])
