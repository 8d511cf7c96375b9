"""Bad data and a full disk, through the real pipeline: a clear refusal, and never half a version."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import Asked, sluice

pytestmark = [
    pytest.mark.xdist_group("pipelines"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

MAIL = "From: ann@example.org\nSubject: Hi {n}\nDate: 0{d} Oct 2002 10:00:00 +0200\n\nHello {n} there\n"


def fetched(home: Path, folder: Path, label: str) -> None:
    """Fetches messages of one class into a home."""
    folder.mkdir(parents=True)
    for number in range(30):
        text = MAIL.format(n=f"number {number} of {label}", d=number % 9 + 1)
        (folder / f"{number}.eml").write_text(text)
    done = sluice(home, "data", "fetch", "--from", str(folder), "--label", label, "--json")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a corpus that nothing can be learnt from."""
    folder = tmp_path_factory.mktemp("bad")
    fetched(folder / "home", folder / "mail", "ham")
    return folder / "home"


def test_a_corpus_of_one_class_is_refused_before_anything_is_learnt(home: Path, asked: Asked) -> None:
    """The corpus' own gate says so, with every reason, and the exit code of a refusal."""
    answer = sluice(home, "pipeline", "run", "--trials", "1")
    assert answer.returncode == 3, answer.stderr
    assert "✗ validate" in answer.stderr
    assert "TRAINING_MIN_CLASS_SHARE" in answer.stderr
    assert asked(home, "model", "list", "--json") == []
    latest = asked(home, "pipeline", "list", "--json")[0]
    assert latest["status"] == "refused"
    assert any("TRAINING_MIN_CLASS_SHARE" in reason for reason in latest["reasons"])


def test_a_corrupt_corpus_is_told_and_not_quietly_replaced(home: Path, asked: Asked) -> None:
    """The first step fails with what to do; the public corpus does not take the place of one's own."""
    corpus = home / "corpus" / "corpus.parquet"
    corpus.write_bytes(corpus.read_bytes()[:-50])
    damaged = corpus.read_bytes()
    answer = sluice(home, "pipeline", "run", "--trials", "1")
    assert answer.returncode == 1, answer.stderr
    assert "is damaged" in answer.stderr
    assert "sluice data fetch" in answer.stderr
    assert corpus.read_bytes() == damaged
    assert asked(home, "pipeline", "list", "--json")[0]["status"] == "failed"
    assert asked(home, "model", "list", "--json") == []


def test_a_disk_that_fills_is_one_sentence(tiny_disk: Path, tmp_path: Path) -> None:
    """A step cannot write its output: the run fails with what to do, and leaves no seal."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pipelines.task import perform\n"
        "from training.steps.features import Features\n"
        "from training.steps.validate import Validate\n"
        "from training.steps.load import Load\n"
        "disk, other = Path(sys.argv[1]), sys.argv[2]\n"
        "perform(Load(workload='iris'), {}, other + '/load')\n"
        "perform(Validate(workload='iris'), {'load': other + '/load'}, other + '/validate')\n"
        "(disk / 'ballast').write_bytes(os.urandom(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))\n"
        "perform(Features(workload='iris', seed=0, evaluation_seeds=(0, 1)),"
        " {'validate': other + '/validate'}, str(disk / 'features'))\n"
    )
    run = tmp_path / "run"
    (run / "logs").mkdir(parents=True)
    done = subprocess.run(
        (sys.executable, "-c", code, str(tiny_disk), str(tmp_path)),
        env={**os.environ, "PIPELINES_RUN_FOLDER": str(run), "SLUICE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert events[-1]["kind"] == "failed"
    assert events[-1]["failure"]["code"] == "disk_full"
    assert "--from-step features" in events[-1]["failure"]["next_step"]
    assert not (tiny_disk / "features" / "step.json").exists()
