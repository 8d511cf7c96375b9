"""The manifests are what the golden files say, and what the schemas of KServe and Kubernetes take."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.environments import Environment
from serving.deployers.manifests import Front, Wanted, inference_service, service_name
from serving.deployers.settings import DeploymentSettings

GOLDEN = Path(__file__).parent / "golden"
VALIDATOR = "MANIFEST_VALIDATOR"
SETTINGS = {
    "namespace": "models",
    "repository_uri": "s3://models",
    "transformer_image": "registry.example.org/transformer@sha256:" + "0" * 64,
    "transformer_config": "transformer",
    "transformer_secret": "transformer",
    "service_account": "models",
}
FRONT = Front("3", "s3://models/spam-detector/bundles/3-cccccccc/", "c" * 64, SETTINGS["transformer_image"])
WANTED = {
    "transformed": Wanted(
        "spam-detector",
        "spam-detector",
        Environment.PRODUCTION,
        ("3",),
        "s3://models/spam-detector/repositories/3-cccccccc/",
        "3",
        FRONT,
    ),
    "transformed-moving": Wanted(
        "spam-detector-staging",
        "spam-detector",
        Environment.STAGING,
        ("3", "4"),
        "s3://models/spam-detector/repositories/3-cccccccc_4-dddddddd/",
        "3",
        FRONT,
    ),
    "plain": Wanted(
        "iris", "iris", Environment.PRODUCTION, ("1",), "s3://models/iris/repositories/1-aaaaaaaa/", "1"
    ),
    "plain-candidate": Wanted(
        "iris-candidate", "iris", Environment.PRODUCTION, ("2",), "s3://models/iris/repositories/2-bbbbbbbb/"
    ),
}


def rendered(name: str) -> dict[str, Any]:
    """Returns the manifest of that name."""
    return inference_service(WANTED[name], DeploymentSettings.load(**SETTINGS))


@pytest.mark.parametrize("name", WANTED)
def test_a_manifest_is_as_its_golden_file_says(name: str) -> None:
    """A change of one shows in review."""
    assert rendered(name) == yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", WANTED)
def test_a_manifest_keeps_what_kserve_gets_wrong_without_it(name: str) -> None:
    """Standard mode by name, the protocol, a slash, a probe by the model's name, the HTTP port first."""
    manifest = rendered(name)
    model = manifest["spec"]["predictor"]["model"]
    assert manifest["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
    assert (model["modelFormat"], model["protocolVersion"]) == ({"name": "triton", "version": "2"}, "v2")
    assert model["storageUri"].endswith("/")
    assert model["readinessProbe"]["httpGet"]["path"] == f"/v2/models/{WANTED[name].model}/ready"
    assert [port["containerPort"] for port in model["ports"]] == [8080, 9000]
    for component in manifest["spec"].values():
        assert component["enableServiceLinks"] is False
        assert component["securityContext"]["runAsNonRoot"]
        assert component["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0
        for container in component.get("containers", [component.get("model")]):
            assert container["securityContext"]["readOnlyRootFilesystem"]


def test_kserves_own_schema_takes_every_manifest(tmp_path: Path) -> None:
    """The strict schema of the custom resource, where its checker is at hand."""
    found = os.environ.get(VALIDATOR)
    program = Path(found) if found else Path(__file__).parents[4] / "shared/tools/validate_manifests.py"
    if not program.is_file():
        pytest.skip(f"no checker of manifests at {program}; {VALIDATOR} names one")
    files = []
    for name in WANTED:
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(yaml.safe_dump(rendered(name)))
    answer = subprocess.run(
        [sys.executable, str(program), *map(str, files)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.startswith(f"{len(WANTED)} custom resources checked, 0 invalid")


@pytest.mark.parametrize("name", WANTED)
def test_kubernetes_takes_the_pods_of_every_manifest(name: str) -> None:
    """What KServe makes a Deployment of is valid as one: probes, security, volumes, variables."""
    import kubernetes_validate

    for component, spec in rendered(name)["spec"].items():
        pod = {key: value for key, value in spec.items() if key in POD_FIELDS}
        containers = spec.get("containers") or [container_of(spec["model"])]
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": component},
            "spec": {
                "selector": {"matchLabels": {"app": component}},
                "strategy": spec["deploymentStrategy"],
                "template": {
                    "metadata": {"labels": {"app": component, **spec["labels"]}},
                    "spec": pod | {"containers": containers},
                },
            },
        }
        kubernetes_validate.validate(deployment, "1.37", strict=True)


POD_FIELDS = {
    "serviceAccountName", "enableServiceLinks", "automountServiceAccountToken",
    "terminationGracePeriodSeconds", "securityContext", "volumes",
}  # fmt: skip


def container_of(model: dict[str, Any]) -> dict[str, Any]:
    """Returns the container that KServe makes of a model: the runtime's, with the model's fields."""
    own = {"modelFormat", "runtime", "runtimeVersion", "protocolVersion", "storageUri"}
    container = {key: value for key, value in model.items() if key not in own}
    return container | {"name": "kserve-container", "image": "tritonserver"}


def test_an_environment_has_a_service_of_its_own() -> None:
    """Production has the model's own name."""
    assert service_name("iris", Environment.PRODUCTION) == "iris"
    assert service_name("iris", Environment.STAGING) == "iris-staging"
