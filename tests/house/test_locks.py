"""The lock files hold what each image may hold, with hashes and without addresses."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
FORBIDDEN = {
    "gateway": {"ray", "kfp", "mlflow", "mlflow-skinny", "feast", "pandas"},
    "transformer": {"ray", "kfp", "mlflow", "mlflow-skinny"},
}
PEERS = ("peer-mlserver", "peer-bentoml", "peer-rayserve")
LOCKS = ("dev", "gateway", "transformer", "training", "monitoring", "node", "triton", *PEERS)


def pinned(lock: str) -> dict[str, set[str]]:
    """Returns the versions of each distribution in a lock file, by marker there may be several."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (FOLDER / f"{lock}.txt").read_text("utf-8"), re.MULTILINE
    ):
        versions.setdefault(name.lower(), set()).add(version)
    return versions


@pytest.mark.parametrize("image", FORBIDDEN)
def test_an_image_holds_no_engine_that_it_does_not_run(image: str) -> None:
    """The door and the transformer stay small."""
    assert not pinned(image).keys() & FORBIDDEN[image]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_no_address(lock: str) -> None:
    """What is installed is what was resolved, from whatever index the machine uses."""
    text = (FOLDER / f"{lock}.txt").read_text("utf-8")
    assert "://" not in text
    pins = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)


@pytest.mark.parametrize("image", ["gateway", "transformer", "training", "monitoring"])
def test_an_image_runs_the_versions_that_are_tested(image: str) -> None:
    """Each pin of an image is a pin of the development machine."""
    tested = pinned("dev")
    assert {name: versions for name, versions in pinned(image).items() if not versions <= tested[name]} == {}


def test_triton_s_programs_run_the_onnx_runtime_that_is_tested_and_numpy_1() -> None:
    """The stub of the wheel reads garbage under NumPy 2; the certificate is about one ONNX Runtime."""
    assert pinned("triton")["onnxruntime"] == pinned("dev")["onnxruntime"]
    assert {version.split(".")[0] for version in pinned("triton")["numpy"]} == {"1"}


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_runs_the_extraction_and_the_graph_on_what_is_tested(peer: str) -> None:
    """It is measured on the same work: the parser of HTML, numpy and ONNX Runtime are ours."""
    for name in ("numpy", "onnxruntime", "selectolax"):
        assert pinned(peer)[name] <= pinned("dev")[name]
