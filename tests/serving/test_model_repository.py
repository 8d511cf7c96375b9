"""The repository holds whole versions, and its configuration says of them what the contract says."""

import threading
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from contracts.bundle import BundleContract
from contracts.tensors import Tensor
from kit.bundle import Bundle
from serving import model_repository
from serving.model_repository import (
    Layout,
    ModelOptions,
    RepositoryRefused,
    add_version,
    remove_version,
    rendered,
    served_versions,
    stored_versions,
    write_config,
)

GOLDEN = Path(__file__).parent / "golden"
DATATYPES = {"TYPE_STRING": "BYTES", "TYPE_FP32": "FP32", "TYPE_INT64": "INT64"}


def parsed(text: str) -> model_config_pb2.ModelConfig:
    """Returns what Triton reads of a config.pbtxt."""
    config = model_config_pb2.ModelConfig()
    text_format.Parse(text, config)
    return config


def tensors(found: list[model_config_pb2.ModelOutput]) -> tuple[Tensor, ...]:
    """Returns the tensors of a configuration as the contract has them: of single values, no dimension."""
    return tuple(
        Tensor(
            name=tensor.name,
            datatype=DATATYPES[model_config_pb2.DataType.Name(tensor.data_type)],
            shape=() if list(tensor.dims) == [1] and tensor.name == "label" else tuple(tensor.dims),
        )
        for tensor in found
    )


@pytest.fixture(params=["iris", "spam-detector"])
def contract(request: pytest.FixtureRequest, flowers_1: Bundle, mails_1: Bundle) -> BundleContract:
    """The contract of numbers alone, and the one of text and numbers."""
    return (flowers_1 if request.param == "iris" else mails_1).contract


@pytest.mark.parametrize("layout", list(Layout))
def test_configuration_is_the_golden_file(contract: BundleContract, layout: Layout) -> None:
    """Every byte: what Triton is told changes only when somebody means it."""
    golden = GOLDEN / f"{contract.workload}.{layout}.pbtxt"
    assert rendered(contract, ["2", "10"], layout) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("layout", list(Layout))
def test_configuration_read_back_is_the_contract(contract: BundleContract, layout: Layout) -> None:
    """Triton's own schema reads it, and the tensors, versions and options are those that were meant."""
    options = ModelOptions(max_batch_size=8, instances=3, intra_op_threads=2, queue_delay_microseconds=7)
    config = parsed(rendered(contract, ["10", "2"], layout, options))
    assert config.name == contract.workload
    assert config.backend == layout.value
    assert tensors(list(config.input)) == contract.inputs
    assert tensors(list(config.output)) == contract.outputs
    assert list(config.version_policy.specific.versions) == [2, 10]
    assert config.max_batch_size == 8
    assert config.dynamic_batching.max_queue_delay_microseconds == 7
    assert config.dynamic_batching.default_queue_policy.allow_timeout_override
    assert [(group.count, group.kind) for group in config.instance_group] == [
        (3, model_config_pb2.ModelInstanceGroup.KIND_CPU)
    ]
    assert config.parameters["intra_op_thread_count"].string_value == "2"
    assert config.parameters["inter_op_thread_count"].string_value == "1"


def test_native_layout_reshapes_and_warms_up_by_triton_the_other_by_its_program(mails_1: Bundle) -> None:
    """A warm-up of Triton's own that fails would take other models' server down."""
    native = parsed(rendered(mails_1.contract, ["1"], Layout.ONNXRUNTIME))
    assert native.output[0].HasField("reshape")
    assert list(native.output[0].reshape.shape) == []
    assert {name: list(value.dims) for name, value in native.model_warmup[0].inputs.items()} == {
        "text": [1],
        "numeric": [24],
    }
    python = parsed(rendered(mails_1.contract, ["1"], Layout.PYTHON))
    assert not python.output[0].HasField("reshape")
    assert not python.model_warmup
    assert python.parameters["warm_up"].string_value == "1"
    cold = ModelOptions(warm_up=False)
    assert not parsed(rendered(mails_1.contract, ["1"], Layout.ONNXRUNTIME, cold)).model_warmup
    assert (
        parsed(rendered(mails_1.contract, ["1"], Layout.PYTHON, cold)).parameters["warm_up"].string_value
        == "0"
    )


@pytest.mark.parametrize(
    ("layout", "files"),
    [(Layout.ONNXRUNTIME, ["model.onnx"]), (Layout.PYTHON, ["model.onnx", "model.py"])],
)
def test_version_appears_whole_and_again_is_nothing_new(
    layout: Layout, files: list[str], flowers_1: Bundle, tmp_path: Path
) -> None:
    """The folder that Triton looks for, with the bundle's very graph, and nothing beside it."""
    folder = add_version(tmp_path, flowers_1, "4", layout)
    assert folder == tmp_path / "iris" / "4"
    assert sorted(path.name for path in folder.iterdir()) == files
    assert (folder / "model.onnx").read_bytes() == flowers_1.model.read_bytes()
    assert add_version(tmp_path, flowers_1, "4", layout) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["4"]


def test_version_with_other_bytes_is_refused(flowers_1: Bundle, flowers_2: Bundle, tmp_path: Path) -> None:
    """A version never changes: neither another bundle, nor a folder without a graph, passes for it."""
    folder = add_version(tmp_path, flowers_1, "1", Layout.PYTHON)
    with pytest.raises(RepositoryRefused, match="another graph"):
        add_version(tmp_path, flowers_2, "1", Layout.PYTHON)
    (folder / "model.onnx").unlink()
    with pytest.raises(RepositoryRefused, match="another graph"):
        add_version(tmp_path, flowers_1, "1", Layout.PYTHON)


def test_many_at_once_add_one_version_whole(flowers_1: Bundle, tmp_path: Path) -> None:
    """Two commands that prepare the same version do not get into each other's way."""
    failures: list[BaseException] = []
    together = threading.Barrier(8)

    def add() -> None:
        together.wait()
        try:
            add_version(tmp_path, flowers_1, "1", Layout.PYTHON)
        except BaseException as exc:  # noqa: BLE001 - told below
            failures.append(exc)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in (tmp_path / "iris").iterdir()] == ["1"]


def test_configuration_names_only_versions_that_are_there(flowers_1: Bundle, tmp_path: Path) -> None:
    """And tells which it serves; stored and served are two things."""
    for version in ("10", "9"):
        add_version(tmp_path, flowers_1, version, Layout.PYTHON)
    assert served_versions(tmp_path, "iris") == ()
    write_config(tmp_path, flowers_1.contract, ["10"], Layout.PYTHON)
    assert served_versions(tmp_path, "iris") == ("10",)
    assert stored_versions(tmp_path, "iris") == ("9", "10")
    with pytest.raises(RepositoryRefused, match="no version 11"):
        write_config(tmp_path, flowers_1.contract, ["10", "11"], Layout.PYTHON)
    with pytest.raises(RepositoryRefused, match="No version"):
        write_config(tmp_path, flowers_1.contract, [], Layout.PYTHON)
    assert served_versions(tmp_path, "iris") == ("10",)


def test_version_in_use_is_not_removed_and_another_is(flowers_1: Bundle, tmp_path: Path) -> None:
    """Removing twice is removing once."""
    for version in ("1", "2"):
        add_version(tmp_path, flowers_1, version, Layout.PYTHON)
    write_config(tmp_path, flowers_1.contract, ["2"], Layout.PYTHON)
    with pytest.raises(RepositoryRefused, match=r"still in config\.pbtxt"):
        remove_version(tmp_path, "iris", "2")
    remove_version(tmp_path, "iris", "1")
    remove_version(tmp_path, "iris", "1")
    assert stored_versions(tmp_path, "iris") == ("2",)
    model_repository.remove_model(tmp_path, "iris")
    model_repository.remove_model(tmp_path, "iris")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["0", "01", "-1", "1/..", "..", "", "latest", "1 "])
def test_what_is_no_version_never_becomes_a_path(version: str, flowers_1: Bundle, tmp_path: Path) -> None:
    """Triton takes folders named by whole numbers; anything else could lead elsewhere."""
    with pytest.raises(RepositoryRefused, match="no version of a model"):
        add_version(tmp_path, flowers_1, version, Layout.PYTHON)
    with pytest.raises(RepositoryRefused):
        remove_version(tmp_path, "../elsewhere", "1")
    assert list(tmp_path.iterdir()) == []
