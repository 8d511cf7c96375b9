"""What a step wrote is known by its content, and is taken again only if nothing of it changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

import training
from kit.home import Home
from training.steps import outputs
from training.steps.outputs import OutputDamaged
from training.steps.step import Context, Figures, Step


class Copy(Step):
    """A step that writes one file."""

    name: ClassVar[str] = "fit"

    word: str

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:  # noqa: ARG002
        """Writes the word, after whatever the input says."""
        before = "".join((folder / "word.txt").read_text() for folder in inputs.values())
        (output / "deep").mkdir()
        (output / "word.txt").write_text(before + self.word)
        (output / "deep" / "length.txt").write_text(str(len(self.word)))
        return {"length": len(self.word)}


def done(step: Copy, inputs: Mapping[str, Path], output: Path) -> outputs.Seal:
    """Runs `step` and seals what it wrote."""
    output.mkdir(parents=True)
    key = outputs.key_of(step, inputs)
    figures = step.run(inputs, output, Context(Home(output), "a run"))
    return outputs.seal(step, output, key=key, figures=figures, seconds=1.0, run="a run")


def test_equal_work_has_an_equal_key_and_digest(tmp_path: Path) -> None:
    """Wherever and whenever it was done."""
    step = Copy(workload="any", word="yes")
    first, second = done(step, {}, tmp_path / "a"), done(step, {}, tmp_path / "b")
    assert (first.key, first.digest) == (second.key, second.digest)


def test_other_fields_and_other_inputs_have_other_keys(tmp_path: Path) -> None:
    """What decides the output decides the key."""
    step = Copy(workload="any", word="yes")
    done(step, {}, tmp_path / "a")
    done(Copy(workload="any", word="no"), {}, tmp_path / "b")
    keys = {
        outputs.key_of(step, {}),
        outputs.key_of(Copy(workload="other", word="yes"), {}),
        outputs.key_of(Copy(workload="any", word="no"), {}),
        outputs.key_of(step, {"search": tmp_path / "a"}),
        outputs.key_of(step, {"search": tmp_path / "b"}),
    }
    assert len(keys) == 5


def test_a_former_output_is_found_by_its_key_and_taken_whole(tmp_path: Path) -> None:
    """The files, the figures and the seal, as they were."""
    step = Copy(workload="any", word="yes")
    sealed = done(step, {}, tmp_path / "a")
    found = outputs.find([tmp_path / "absent", tmp_path / "a"], sealed.key)
    assert found == tmp_path / "a"
    taken = outputs.take(found, tmp_path / "b")
    assert taken == sealed == outputs.verified(tmp_path / "b")
    assert (tmp_path / "b" / "deep" / "length.txt").read_text() == "3"


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_a_changed_output_is_refused_by_name_and_never_found(tmp_path: Path, damage: str) -> None:
    """One byte, one file less, one file more."""
    sealed = done(Copy(workload="any", word="yes"), {}, tmp_path / "a")
    file = tmp_path / "a" / "deep" / ("new.txt" if damage == "add" else "length.txt")
    if damage == "remove":
        file.unlink()
    else:
        file.write_text("4")
    with pytest.raises(OutputDamaged, match=f"deep/{file.name}"):
        outputs.verified(tmp_path / "a")
    with pytest.raises(OutputDamaged):
        outputs.key_of(Copy(workload="any", word="no"), {"search": tmp_path / "a"})
    assert outputs.find([tmp_path / "a"], sealed.key) is None


def test_an_output_without_a_seal_is_no_output(tmp_path: Path) -> None:
    """What a killed step leaves behind is taken for nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "word.txt").write_text("half")
    with pytest.raises(OutputDamaged, match="no finished output"):
        outputs.verified(tmp_path / "a")


KEYS = (
    "from training.steps.evaluate import Evaluate\n"
    "from training.steps.outputs import key_of\n"
    "from training.steps.search import Search\n"
    "for step in (\n"
    "    Search(workload='iris', seed=0, trials=1),\n"
    "    Search(workload='spam-detector', seed=0, trials=1),\n"
    "    Evaluate(workload='iris', seed=0, evaluation_seeds=(0, 1)),\n"
    "):\n"
    "    print(key_of(step, {}))\n"
)


class Code:
    """A copy of the packages that steps are made of, and the keys that it gives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("contracts", "kit", "records", "feature_repo", "training"):
            shutil.copytree(Path(training.__path__[0]).parent / package, folder / package)
        self.before = self._keys()

    def changed_by(self, file: str) -> list[bool]:
        """Returns which keys change with one more line in `file`, which is taken away again."""
        source = (self.folder / file).read_bytes()
        (self.folder / file).write_bytes(source + b"\n")
        try:
            return [one != other for one, other in zip(self.before, self._keys(), strict=True)]
        finally:
            (self.folder / file).write_bytes(source)

    def _keys(self) -> list[str]:
        done = subprocess.run(
            (sys.executable, "-c", KEYS),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Code:
    """The copy, made once."""
    return Code(tmp_path_factory.mktemp("code"))


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("training/selection.py", [True, True, True]),  # imported by what the step imports
        ("training/estimators/terms.py", [False, True, False]),  # of one workload alone
        ("training/report/page.html.j2", [False, False, True]),  # no Python
        ("training/steps/register.py", [False, False, False]),  # of a later step
    ],
)
def test_changed_code_has_another_key_where_it_has_a_say(code: Code, file: str, changed: list[bool]) -> None:
    """`--from-step` never takes the output of other code; what a step does not use changes nothing."""
    assert code.changed_by(file) == changed
