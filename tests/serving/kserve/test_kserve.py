"""A model version gets to a cluster without a gap, and when it does not the reason is told."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.environments import Environment
from kit.bundle import Bundle, load
from kit.settings import SettingsError
from serving.deployers import cluster, storage
from serving.deployers.cluster import ClusterRefused
from serving.deployers.deployer import (
    CandidateNotReady,
    CandidateRefused,
    Deployer,
    ServingUnreachable,
    SwitchFailed,
)
from serving.deployers.kserve import KServeDeployer, opened
from serving.deployers.settings import DeploymentSettings
from tests.serving.kserve.api_server import TOKEN, ApiServer, running

IRIS, MAIL = "iris", "spam-detector"
PRODUCTION, STAGING = Environment.PRODUCTION, Environment.STAGING


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A running API server."""
    with running() as server:
        yield server


@pytest.fixture
def settings(api: ApiServer, tmp_path: Path) -> DeploymentSettings:
    """Settings that lead to it, by a kubeconfig as clouds write it."""
    return settings_for(api.address, tmp_path)


@pytest.fixture
def models(flowers_1: Bundle, flowers_2: Bundle, mails_1: Bundle, mails_2: Bundle) -> dict[str, Bundle]:
    """Two versions of each model, by model and version."""
    return {
        f"{IRIS}/1": flowers_1, f"{IRIS}/2": flowers_2, f"{MAIL}/1": mails_1, f"{MAIL}/2": mails_2,
    }  # fmt: skip


@pytest.fixture
def deployer(settings: DeploymentSettings, models: dict[str, Bundle]) -> KServeDeployer:
    """A deployer to that cluster."""
    return opened(settings, lambda model, version: models[f"{model}/{version}"])


def no_bundle(model: str, version: str) -> Bundle:
    """Fails: nothing should be loaded."""
    raise AssertionError(f"{model} {version}")


def settings_for(address: str, folder: Path, *, token: str = TOKEN, **how: Any) -> DeploymentSettings:
    """Returns settings with a kubeconfig for the server at `address`."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": token}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    return DeploymentSettings.load(
        **{
            "kubeconfig": folder / "kubeconfig",
            "namespace": "models",
            "repository_uri": str(folder / "store"),
            "transformer_image": "registry.example.org/transformer:1",
            "ready_seconds": 30,
            "poll_seconds": 0.01,
        }
        | how
    )


def serving(deployer: Deployer, model: str) -> tuple[str | None, set[str]]:
    """Returns what answers in production, and what is loaded."""
    return deployer.current(model, PRODUCTION), set(deployer.loaded(model, PRODUCTION))


def move(deployer: Deployer, models: dict[str, Bundle], model: str, former: str | None, version: str) -> None:
    """Makes the four steps of a promotion."""
    bundle = models[f"{model}/{version}"]
    deployer.prepare(model, PRODUCTION, version, bundle)
    deployer.verify(model, PRODUCTION, version, bundle)
    deployer.switch(model, PRODUCTION, version, bundle)
    if former is not None:
        deployer.retire(model, PRODUCTION, former)


def test_a_transformed_model_moves_with_both_versions_in_the_predictor(
    deployer: KServeDeployer, models: dict[str, Bundle], api: ApiServer
) -> None:
    """The predictor gets the new version first, then the transformer asks it, then the old one goes."""
    deployer.reachable()
    move(deployer, models, MAIL, None, "1")
    assert serving(deployer, MAIL) == ("1", {"1"})
    api.applied.clear()
    move(deployer, models, MAIL, "1", "2")
    assert serving(deployer, MAIL) == ("2", {"2"})
    stages = [
        (each["spec"]["predictor"]["labels"], each["spec"]["transformer"]["labels"]) for each in api.applied
    ]
    assert [(p["sluice.dev/versions"], t["sluice.dev/version"]) for p, t in stages] == [
        ("1_2", "1"), ("1_2", "2"), ("2", "2"),
    ]  # fmt: skip
    assert list(api.services) == [MAIL]


def test_a_plain_model_proves_itself_in_a_service_of_its_own(
    deployer: KServeDeployer, models: dict[str, Bundle], api: ApiServer
) -> None:
    """Triton gives the highest version to who names none, so a candidate is never beside the current one."""
    move(deployer, models, IRIS, None, "2")
    deployer.prepare(IRIS, STAGING, "1", models["iris/1"])
    assert set(api.services) == {"iris", "iris-candidate", "iris-staging-candidate"}
    deployer.abandon(IRIS, STAGING, "1")
    deployer.prepare(IRIS, PRODUCTION, "1", models["iris/1"])
    assert deployer.current(IRIS, PRODUCTION) == "2"
    assert deployer.loaded(IRIS, PRODUCTION) == {"1", "2"}
    move(deployer, models, IRIS, "2", "1")
    assert serving(deployer, IRIS) == ("1", {"1"})
    assert list(api.services) == ["iris"]


def test_every_step_may_be_repeated(
    deployer: KServeDeployer, models: dict[str, Bundle], api: ApiServer
) -> None:
    """A crash between two steps leaves the next command to do one again."""
    move(deployer, models, MAIL, None, "1")
    for _ in range(2):
        deployer.prepare(MAIL, PRODUCTION, "2", models[f"{MAIL}/2"])
    for _ in range(2):
        deployer.abandon(MAIL, PRODUCTION, "2")
    assert serving(deployer, MAIL) == ("1", {"1"})
    move(deployer, models, MAIL, "1", "2")
    deployer.switch(MAIL, PRODUCTION, "2", models[f"{MAIL}/2"])
    deployer.retire(MAIL, PRODUCTION, "1")
    assert serving(deployer, MAIL) == ("2", {"2"})


def test_a_first_version_that_is_abandoned_leaves_no_service(
    deployer: KServeDeployer, models: dict[str, Bundle], api: ApiServer
) -> None:
    """Before its switch it has no transformer, and nothing points at it."""
    deployer.prepare(MAIL, PRODUCTION, "1", models[f"{MAIL}/1"])
    assert deployer.current(MAIL, PRODUCTION) is None
    assert "transformer" not in api.services[MAIL]["spec"]
    deployer.abandon(MAIL, PRODUCTION, "1")
    assert api.services == {}


def test_the_current_version_is_never_abandoned(deployer: KServeDeployer, models: dict[str, Bundle]) -> None:
    """Whoever asks for it is wrong about what serves."""
    move(deployer, models, MAIL, None, "1")
    with pytest.raises(SwitchFailed, match="so it stays"):
        deployer.abandon(MAIL, PRODUCTION, "1")


@pytest.mark.parametrize("model", [IRIS, MAIL])
def test_a_version_that_answers_wrongly_is_refused_before_the_switch(
    deployer: KServeDeployer, models: dict[str, Bundle], api: ApiServer, model: str
) -> None:
    """Golden rows go through the API server to the very pods that would serve."""
    api.wrong.add("1")
    deployer.prepare(model, PRODUCTION, "1", models[f"{model}/1"])
    with pytest.raises(CandidateRefused) as refused:
        deployer.verify(model, PRODUCTION, "1", models[f"{model}/1"])
    assert "Golden row" in refused.value.reasons[0]


def test_pods_that_do_not_become_ready_are_told_with_the_reasons_of_the_cluster(
    deployer: KServeDeployer, settings: DeploymentSettings, models: dict[str, Bundle], api: ApiServer
) -> None:
    """Conditions of the service, states of its containers, and warnings about them."""
    hasty = opened(settings.model_copy(update={"ready_seconds": 0.1}), lambda m, v: models[f"{m}/{v}"])
    move(deployer, models, MAIL, None, "1")
    api.stuck.add("2")
    api.events.append(
        {
            "type": "Warning",
            "reason": "FailedMount",
            "message": "no such volume",
            "involvedObject": {"name": MAIL},
        }
    )
    with pytest.raises(CandidateNotReady) as failed:
        hasty.prepare(MAIL, PRODUCTION, "2", models[f"{MAIL}/2"])
    assert "CrashLoopBackOff back-off 40s (4 restarts)" in failed.value.message
    assert "FailedMount no such volume" in failed.value.message
    assert "kubectl -n models describe" in str(failed.value.next_step)
    assert deployer.current(MAIL, PRODUCTION) == "1"
    deployer.abandon(MAIL, PRODUCTION, "2")
    assert deployer.loaded(MAIL, PRODUCTION) == {"1"}


def test_a_switch_that_does_not_finish_is_taken_back_by_a_switch(
    deployer: KServeDeployer, settings: DeploymentSettings, models: dict[str, Bundle], api: ApiServer
) -> None:
    """The former pods answer all the while: none is taken away before its successor is ready."""
    hasty = opened(settings.model_copy(update={"ready_seconds": 0.1}), lambda m, v: models[f"{m}/{v}"])
    move(deployer, models, MAIL, None, "1")
    deployer.prepare(MAIL, PRODUCTION, "2", models[f"{MAIL}/2"])
    api.stuck.add("2")
    with pytest.raises(SwitchFailed, match="did not take over"):
        hasty.switch(MAIL, PRODUCTION, "2", models[f"{MAIL}/2"])
    api.stuck.clear()
    deployer.switch(MAIL, PRODUCTION, "1", models[f"{MAIL}/1"])
    deployer.abandon(MAIL, PRODUCTION, "2")
    assert serving(deployer, MAIL) == ("1", {"1"})


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (401, ServingUnreachable, "does not accept these credentials"),
        (403, CandidateNotReady, "may not use inferenceservices/iris-candidate in the namespace models"),
        (404, CandidateNotReady, "knows no inferenceservices/iris-candidate"),
        (409, CandidateNotReady, r"refused inferenceservices/iris-candidate \(409\)"),
        (422, CandidateNotReady, "spec.predictor: Invalid value"),
        (500, ServingUnreachable, "failed over inferenceservices/iris-candidate"),
        (503, ServingUnreachable, "failed over inferenceservices/iris-candidate"),
    ],
)
def test_each_answer_of_the_api_server_becomes_a_sentence(
    deployer: KServeDeployer,
    models: dict[str, Bundle],
    api: ApiServer,
    status: int,
    error: type[Exception],
    told: str,
) -> None:
    """What it refused, in which namespace, in its own words."""
    api.fail["PATCH", "inferenceservices"] = (status, "spec.predictor: Invalid value:\n 7")
    with pytest.raises(error, match=told):
        deployer.prepare(IRIS, PRODUCTION, "1", models["iris/1"])


def test_a_cluster_without_kserve_is_found_before_anything_moves(
    deployer: KServeDeployer, api: ApiServer
) -> None:
    """The kind is not known there."""
    api.fail["GET", "inferenceservices"] = (404, "the server could not find the requested resource")
    with pytest.raises(ClusterRefused) as refused:
        deployer.reachable()
    assert "Install KServe" in str(refused.value.next_step)


def test_credentials_that_are_not_accepted_are_told(api: ApiServer, tmp_path: Path) -> None:
    """The token never stands in the message."""
    deployer = opened(settings_for(api.address, tmp_path, token="wr0ng"), no_bundle)
    with pytest.raises(ServingUnreachable) as refused:
        deployer.reachable()
    assert "wr0ng" not in str(refused.value)


def test_a_cluster_that_does_not_answer_is_told_by_its_host(tmp_path: Path) -> None:
    """Nothing listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    deployer = opened(settings_for(address, tmp_path), no_bundle)
    with pytest.raises(ServingUnreachable, match=r"127\.0\.0\.1 cannot be reached"):
        deployer.reachable()


def test_a_cluster_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    """It takes the connection and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        deployer = opened(settings_for(address, tmp_path, answer_seconds=0.2), no_bundle)
        with pytest.raises(ServingUnreachable, match="did not answer in time"):
            deployer.reachable()


@pytest.mark.parametrize("text", ["", "[]", "current-context: gone", "{", "users: 3\n"])
def test_a_kubeconfig_that_is_none_is_told(api: ApiServer, tmp_path: Path, text: str) -> None:
    """With the setting that names another."""
    settings = settings_for(api.address, tmp_path)
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ServingUnreachable) as refused:
        opened(settings, no_bundle)
    assert "DEPLOYMENT_KUBECONFIG" in str(refused.value.next_step)


def test_credentials_may_come_from_a_program_as_in_the_clouds(
    api: ApiServer, tmp_path: Path, models: dict[str, Bundle]
) -> None:
    """The sign-in programs of AWS and Azure are called as kubectl calls them."""
    document = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    program = tmp_path / "sign-in"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(document)}'\n")
    program.chmod(0o755)
    settings = settings_for(api.address, tmp_path)
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    config["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": str(program)}
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    opened(settings, lambda model, version: models[f"{model}/{version}"]).reachable()


def test_what_the_cluster_reads_is_a_repository_of_tritons_own_backend(
    settings: DeploymentSettings, models: dict[str, Bundle], tmp_path: Path
) -> None:
    """Prefixes end with a slash, name their content, and hold nothing else."""
    both = {version: models[f"{IRIS}/{version}"] for version in ("1", "2")}
    prefix = storage.repository_prefix(both)
    digests = [both[version].digest[:8] for version in ("1", "2")]
    assert prefix == f"iris/repositories/1-{digests[0]}_2-{digests[1]}/"
    deployer = opened(settings, lambda model, version: models[f"{model}/{version}"])
    deployer.prepare(IRIS, PRODUCTION, "1", both["1"])
    alone = tmp_path / "store" / storage.repository_prefix({"1": both["1"]})
    files = sorted(str(path.relative_to(alone)) for path in alone.rglob("*") if path.is_file())
    assert files == ["iris/1/model.onnx", "iris/config.pbtxt"]
    assert 'backend: "onnxruntime"' in (alone / "iris/config.pbtxt").read_text()


def test_the_bundle_that_the_transformer_reads_is_whole(
    deployer: KServeDeployer, models: dict[str, Bundle], tmp_path: Path
) -> None:
    """Every byte of it is checked with the digest that the manifest names."""
    move(deployer, models, MAIL, None, "1")
    bundle = models[f"{MAIL}/1"]
    stored = load(tmp_path / "store" / storage.bundle_prefix("1", bundle), digest=bundle.digest)
    assert stored.contract == bundle.contract


def test_a_store_that_cannot_be_written_is_told(
    settings: DeploymentSettings, models: dict[str, Bundle], tmp_path: Path
) -> None:
    """A file lies where the folder should be."""
    (tmp_path / "store").write_text("")
    deployer = opened(settings, lambda model, version: models[f"{model}/{version}"])
    with pytest.raises(storage.StorageFailed, match="cannot be written"):
        deployer.prepare(IRIS, PRODUCTION, "1", models["iris/1"])


@pytest.mark.parametrize(
    ("model", "missing", "variable"),
    [
        (MAIL, "transformer_image", "DEPLOYMENT_TRANSFORMER_IMAGE"),
        (IRIS, "repository_uri", "DEPLOYMENT_REPOSITORY_URI"),
    ],
)
def test_a_setting_that_a_cluster_needs_is_asked_for_by_name(
    api: ApiServer, models: dict[str, Bundle], tmp_path: Path, model: str, missing: str, variable: str
) -> None:
    """Not by a manifest that the cluster refuses."""
    settings = settings_for(api.address, tmp_path).model_copy(update={missing: None})
    deployer = opened(settings, lambda name, version: models[f"{name}/{version}"])
    with pytest.raises(SettingsError) as refused:
        move(deployer, models, model, None, "1")
    assert variable in str(refused.value.next_step)


def test_the_deployer_is_one(settings: DeploymentSettings) -> None:
    """It offers what promotion asks of a place of serving."""
    deployer: Deployer = KServeDeployer(cluster.opened(settings), settings, no_bundle)
    assert deployer.place == "in the namespace models of the cluster"
    assert deployer.running(STAGING)
