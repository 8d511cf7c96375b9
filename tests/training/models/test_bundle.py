"""A bundle appears whole, never changes, and every byte of it is accounted for."""

import asyncio
import errno
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnxruntime
import pyarrow as pa
import pytest
import xgboost

from contracts.bundle import BundleContract, Lineage
from contracts.environments import Environment
from feature_repo.settings import FeatureRepoSettings
from gateway.asked import Asked, Caller
from gateway.backends.backend import Email
from gateway.backends.embedded import EmbeddedBackend
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.bundle import Bundle, BundleDamaged, load
from kit.home import Home
from serving.batch.rows import Rows
from serving.batch.scoring import Model
from serving.scorer import Scorer
from tests.training.models.conftest import FittedModel
from training.bundle import BundleExists, write
from training.certificate import certify
from training.export import export
from training.reference import reference
from training.workload import Dataset, Workload

pytestmark = pytest.mark.xdist_group("models")  # one worker fits the model that they share

FILES = {
    "contract.json",
    "model.onnx",
    "native/features.onnx",
    "native/model.ubj",
    "parity.json",
    "reference.parquet",
}
FEW = 20
STAGING = Environment.STAGING


@pytest.fixture(scope="session")
def parts(mail_model: FittedModel, mails: Dataset) -> dict[str, Any]:
    """The arguments of `write` for the mail model."""
    few = mail_model.rows.take(mail_model.train[:FEW])
    model = export(mail_model.workload, mail_model.featuriser, mail_model.fitted)
    edges = {name: values[:FEW] for name, values in mail_model.workload.edge_inputs().items()}
    return {
        "contract": _contract(mail_model.workload, mail_model.featuriser.feature_names, threshold=0.4),
        "model": model,
        "reference": reference(
            mail_model.workload.contract, mails, mail_model.validation, mail_model.featuriser, model
        ),
        "parity": certify(model, mail_model.featuriser, mail_model.fitted, few, edges),
        "native": mail_model.fitted.save_native,
    }


@pytest.fixture
def bundle(parts: dict[str, Any], tmp_path: Path) -> Bundle:
    """A bundle on disk, to be damaged."""
    return write(tmp_path / "bundles" / "1", **parts)


def test_bundle_that_was_written_loads_with_everything_in_it(bundle: Bundle, parts: dict[str, Any]) -> None:
    """All files are there and listed, nothing else is left, and what is read equals what was written."""
    loaded = load(bundle.folder, digest=bundle.digest)
    assert loaded == bundle
    assert {*loaded.contract.files, "contract.json"} == FILES
    assert [path.name for path in bundle.folder.parent.iterdir()] == ["1"]
    assert loaded.model.read_bytes() == parts["model"]
    assert loaded.parity == parts["parity"]
    assert loaded.reference().equals(parts["reference"])
    assert loaded.contract.threshold == 0.4
    assert len(loaded.contract.feature_names) == 524
    assert loaded.size_bytes == sum((bundle.folder / name).stat().st_size for name in FILES)


def test_reference_holds_the_numbers_and_scores_of_the_validation_rows(
    bundle: Bundle, mail_model: FittedModel
) -> None:
    """24 numbers by name, facts of the text, and the scores that the graph gives."""
    table = bundle.reference()
    assert table.num_rows == len(mail_model.validation)
    assert {"id", "label", "html_share", "domain_days_known", "text_token_count"} <= set(table.column_names)
    scores = mail_model.fitted.probabilities(mail_model.matrix[mail_model.validation])
    assert table["probability_spam"].to_pylist() == pytest.approx(scores[:, 1].tolist(), abs=1e-6)


async def test_reference_tells_of_a_text_what_serving_records_of_it(
    bundle: Bundle, mail_model: FittedModel, some_messages: pa.Table, tmp_path: Path
) -> None:
    """Each statistic of each validation row, to the last bit: scorer, gateway alone, and batch scoring."""
    raws = some_messages["raw"].take(mail_model.validation).to_pylist()
    table = bundle.reference()
    names = [name.removeprefix("text_") for name in table.column_names if name.startswith("text_")]
    assert set(names) == {
        "token_count", "character_count", "unique_share", "placeholder_share", "known_share",
    }  # fmt: skip
    promised = {name: table[f"text_{name}"].to_pylist() for name in names}
    assert 0 < min(promised["known_share"]) < max(promised["known_share"]) <= 1

    reader = FeatureRepoSettings.load()
    scores = Scorer(bundle, reader).score(raws, datetime.now(UTC))
    told = [facts.text_statistics for facts in scores.facts]
    assert {name: [each[name] for each in told] for name in names} == promised

    settings = GatewaySettings.load(backend="embedded", bundles={STAGING: bundle.folder})
    alone = EmbeddedBackend(settings, Home(tmp_path), Measures())
    await alone.start()
    try:
        deadline = asyncio.get_running_loop().time() + 60
        caller = Caller("k", "a caller", frozenset({STAGING}))
        asked = Asked("r", STAGING, bundle.contract.workload, caller, deadline, "")
        answers = await alone.predict(asked, [Email(raw, structured=False) for raw in raws])
    finally:
        await alone.close()
    assert [answer.facts.text_statistics for answer in answers.items] == told

    rows = Rows([str(at) for at in range(len(raws))], ["0" * 64] * len(raws), [None] * len(raws), raws)
    scored, _ = Model(bundle, "1", reader, history=None).table(rows)
    assert scored["known_share"].to_pylist() == promised["known_share"]


def test_native_files_explain_a_row_without_the_code_that_made_it(
    bundle: Bundle, mail_model: FittedModel
) -> None:
    """The features' graph and XGBoost's own file give the contributions of each feature."""
    session = onnxruntime.InferenceSession(bundle.folder / "native/features.onnx")
    few = {name: values[:5] for name, values in mail_model.rows.inputs.items()}
    matrix = session.run(None, few)[0]
    names = [f"f{column}" for column in range(matrix.shape[1])]
    booster = xgboost.Booster(model_file=bundle.folder / "native/model.ubj")
    values = booster.predict(xgboost.DMatrix(matrix, feature_names=names), pred_contribs=True)
    expected = mail_model.fitted.contributions(mail_model.matrix[:5])
    assert values[:, :-1].tolist() == expected.tolist()
    assert values.shape[1] - 1 == len(bundle.contract.feature_names)


@pytest.mark.parametrize("name", sorted(FILES))
def test_one_changed_byte_is_refused_with_the_files_name(bundle: Bundle, name: str) -> None:
    """Whichever file it is, contract.json too; one byte in the middle is enough."""
    path = bundle.folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    assert _refused(bundle.folder) == name


@pytest.mark.parametrize("name", sorted(FILES))
def test_absent_file_is_refused_with_its_name(bundle: Bundle, name: str) -> None:
    """A copy that was cut short does not pass for a bundle."""
    (bundle.folder / name).unlink()
    assert _refused(bundle.folder) == name


@pytest.mark.parametrize("name", ["notes.txt", "native/model.pkl", "model.onnx.data"])
def test_file_that_does_not_belong_is_refused_with_its_name(bundle: Bundle, name: str) -> None:
    """Nothing travels with a bundle that nobody vouches for."""
    (bundle.folder / name).write_text("x", encoding="utf-8")
    assert _refused(bundle.folder) == name


def test_contract_that_was_only_reformatted_is_refused(bundle: Bundle) -> None:
    """It has one form, so that its hash names the content."""
    path = bundle.folder / "contract.json"
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    assert _refused(bundle.folder) == "contract.json"


def test_another_valid_bundle_in_its_place_is_refused_by_the_digest(
    bundle: Bundle, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Whoever registered a digest is not given other content that is whole in itself."""
    changed = parts["contract"].model_copy(update={"threshold": 0.9})
    other = write(tmp_path / "other", **parts | {"contract": changed})
    assert load(other.folder).contract.threshold == 0.9
    with pytest.raises(BundleDamaged, match="is not the one that was registered"):
        load(other.folder, digest=bundle.digest)


def test_bundle_is_never_written_over(bundle: Bundle, parts: dict[str, Any]) -> None:
    """A second write to the same place changes nothing."""
    with pytest.raises(BundleExists):
        write(bundle.folder, **parts)
    assert load(bundle.folder) == bundle


def test_certificate_of_another_graph_is_refused(parts: dict[str, Any], tmp_path: Path) -> None:
    """A certificate counts for the very bytes that it was made of; nothing is left on disk."""
    parity = parts["parity"].model_copy(update={"model_sha256": "0" * 64})
    with pytest.raises(BundleDamaged, match="certifies another graph"):
        write(tmp_path / "1", **parts | {"parity": parity})
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fills_leaves_nothing_behind(parts: dict[str, Any], tmp_path: Path) -> None:
    """A write that fails in the middle leaves no bundle and no rest of one."""

    def full(folder: Path) -> tuple[str, ...]:
        (folder / "model.ubj").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "1", **parts | {"native": full})
    assert list(tmp_path.iterdir()) == []


def test_copy_of_a_bundle_is_a_bundle(bundle: Bundle, tmp_path: Path) -> None:
    """A bundle says nothing about where it lies."""
    shutil.copytree(bundle.folder, tmp_path / "copy")
    assert load(tmp_path / "copy").contract == bundle.contract


def test_forest_has_a_bundle_without_a_format_of_its_own(
    flowers: tuple[Workload, Dataset, Any, Any], tmp_path: Path
) -> None:
    """What has nothing native has no native folder; without a threshold the largest probability decides."""
    workload, data, featuriser, fitted = flowers
    model = export(workload, featuriser, fitted)
    written = write(
        tmp_path / "1",
        _contract(workload, featuriser.feature_names, threshold=None),
        model=model,
        reference=reference(workload.contract, data, data.split(1).validation, featuriser, model),
        parity=certify(model, featuriser, fitted, data.rows, workload.edge_inputs()),
        native=fitted.save_native,
    )
    assert set(written.contract.files) == {"model.onnx", "parity.json", "reference.parquet"}
    assert load(written.folder).contract.threshold is None
    columns = written.reference().column_names
    assert "petal_width_cm" in columns
    assert not any(name.startswith("text_") for name in columns)


def _contract(workload: Workload, names: tuple[str, ...], *, threshold: float | None) -> BundleContract:
    contract = workload.contract
    return BundleContract(
        workload=workload.name,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
        inputs=contract.inputs,
        outputs=contract.outputs,
        classes=contract.classes,
        schema_digest=contract.schema_digest,
        threshold=threshold,
        feature_names=names,
        metrics={"f1": 0.97},
        lineage=Lineage(
            data_fingerprint="sha256:some",
            split_seed=1,
            schema_digest=contract.schema_digest,
            git_commit="unknown",
            parameters={"max_depth": 4},
            libraries={"onnx": "1"},
        ),
    )


def _refused(folder: Path) -> str:
    with pytest.raises(BundleDamaged) as caught:
        load(folder)
    assert caught.value.file in caught.value.message
    return caught.value.file
