"""`sluice predict` and batch scoring against a real transformer and a real Triton: the same answers."""

import io
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.main import main
from contracts.environments import Environment
from contracts.routes import route_file
from kit.bundle import Bundle
from kit.files import write_text
from kit.home import Home
from serving.transformer import MODEL
from tests.serving.batch.inputs import answers, messages, scored
from tests.serving.transformer.stand import TransformerProcess, TritonProcess, transformer

pytestmark = pytest.mark.xdist_group("predict")

Said = tuple[int, str, str]
Predict = Callable[..., Said]


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, mails_1: Bundle
) -> Iterator[tuple[Home, TransformerProcess]]:
    """A home whose staging is served; the sender store was never set up, so that senders are unknown."""
    folders = Home(tmp_path_factory.mktemp("home"))
    triton = TritonProcess(tmp_path_factory.mktemp("triton"), {"1": mails_1})
    triton.start()
    try:
        with transformer(tmp_path_factory.mktemp("run") / "run", folders.root) as process:
            process.follow(triton.route("1", mails_1))
            process.until_ready("1")
            route = triton.route("1", mails_1, f"http://{process.host}")
            write_text(route_file(folders.serving, Environment.STAGING, MODEL), route.model_dump_json())
            yield folders, process
    finally:
        triton.stop()


@pytest.fixture
def predict(
    home: tuple[Home, TransformerProcess],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Predict:
    """Runs the command past the gateway; `home` and `stdin` may be others. Returns code, output, errors."""

    def run(*words: object, where: Path = home[0].root, stdin: bytes = b"") -> Said:
        monkeypatch.setenv("SLUICE_HOME", str(where))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            main(["predict", "--direct", *map(str, words)])
        said = capsys.readouterr()
        return int(str(left.value.code)), said.out, said.err

    return run


def documents(said: Said) -> Any:
    """Returns the answers of a command with --json that ended well."""
    code, out, err = said
    assert code == 0, err or out
    return json.loads(out)


def mail(folder: Path, name: str, raw: bytes) -> Path:
    """Writes one file."""
    (folder / name).write_bytes(raw)
    return folder / name


def test_a_file_gets_verdict_probability_threshold_version_and_environment(
    predict: Predict, tmp_path: Path, mails_1: Bundle
) -> None:
    """For people in a table, for programs as JSON; bytes that are no text go through as they are."""
    file = mail(tmp_path, "a.eml", messages(1)[0] + b"\xff\x00\xfe")
    (told,) = documents(predict(file, "--json"))
    assert told["file"] == str(file)
    assert (told["version"], told["environment"], told["model"]) == ("1", "staging", MODEL)
    assert told["threshold"] == mails_1.contract.threshold == 0.5
    assert told["verdict"] == ("spam" if told["probability"] >= 0.5 else "ham")
    assert told["milliseconds"] > 0
    code, out, _ = predict(file)
    assert code == 0
    assert f"{told['probability']:.4f}" in out


def test_the_online_answers_are_those_of_batch_scoring(
    predict: Predict, tmp_path: Path, mails_1: Bundle
) -> None:
    """Each message over the wire to Triton, and all of them from files to Parquet: every bit is equal."""
    folder = tmp_path / "in"
    folder.mkdir()
    files = [mail(folder, f"{at:02d}.eml", raw) for at, raw in enumerate(messages(24))]
    online = documents(predict(*files, "--json"))
    scored(folder, tmp_path / "out", mails_1)
    batch = answers(tmp_path / "out")
    assert [row["id"] for row in batch] == [file.name for file in files]
    for one, row in zip(online, batch, strict=True):
        # JSON carries the shortest decimal that names the same float32.
        assert np.float32(one["probability"]) == np.float32(row["probability"])
        assert one["verdict"] == row["verdict"]


def test_an_explanation_adds_up_to_the_answer(predict: Predict, tmp_path: Path) -> None:
    """What is shown and the rest together are the log odds of the probability."""
    file = mail(tmp_path, "a.eml", b"Subject: winner of a prize\n\nfree pills, click here\n")
    (told,) = documents(predict(file, "--explain", "--json"))
    explanation = told["explanation"]
    together = explanation["base_value"] + explanation["rest"]
    together += sum(each["contribution"] for each in explanation["top"])
    assert explanation["toward"] == "spam"
    assert 1 / (1 + math.exp(-together)) == pytest.approx(told["probability"], abs=1e-5)
    code, out, _ = predict(file, "--explain")
    assert code == 0
    assert explanation["top"][0]["name"] in out
    assert "log odds of spam" in out


def test_standard_input_and_structured_mail_are_read(predict: Predict) -> None:
    """As a mail program pipes it, or as a program writes it."""
    (raw,) = documents(predict("-", "--json", stdin=b"Subject: winner of a prize\n\nfree pills\n"))
    structured = json.dumps({"subject": "winner of a prize", "body": "free pills\n"}).encode()
    (same,) = documents(predict("-", "--json", stdin=structured))
    assert raw["file"] == "-"
    assert 0 < same["probability"] < 1


def test_what_cannot_be_asked_is_a_sentence_with_the_next_step(predict: Predict, tmp_path: Path) -> None:
    """Absent, a folder, empty, too large: wrong usage. Refused by the server: failed."""
    huge = tmp_path / "huge"
    with huge.open("wb") as content:
        content.truncate((16 << 20) + 1)
    for name, words, code in (
        (tmp_path / "absent", "No such file", 2),
        (tmp_path, "Is a directory", 2),
        (mail(tmp_path, "empty", b" \n"), "is empty", 2),
        (huge, "more than 16 MB", 2),
        (mail(tmp_path, "brace", b"{"), "Not a structured e-mail", 1),
    ):
        left, out, err = predict(name)
        assert (left, out) == (code, "")
        assert words in err
        assert "Next: " in err
    assert predict("-", stdin=b"")[0] == 2


def test_one_bad_file_does_not_keep_the_others_from_an_answer(predict: Predict, tmp_path: Path) -> None:
    """It stands among them with its reason, and the exit code says that not all went well."""
    good, bad = mail(tmp_path, "good", messages(1)[0]), mail(tmp_path, "bad", b"")
    code, out, _ = predict(good, bad, good, "--json")
    told = json.loads(out)
    assert code == 1
    assert told[0]["probability"] == told[2]["probability"]
    assert told[1]["problem"]["code"] == "not_a_message"
    code, out, _ = predict(bad, good)
    assert (code, "No e-mail" in out) == (1, True)


def test_where_nothing_serves_the_next_step_is_told(
    predict: Predict, tmp_path: Path, home: tuple[Home, TransformerProcess]
) -> None:
    """An empty home, an environment without a version, a server that is gone, a model without messages."""
    file = mail(tmp_path, "a.eml", b"Subject: x\n\n")
    other = tmp_path / "home"
    code, _, err = predict(file, where=other)
    assert (code, "sluice up" in err) == (1, True)
    code, _, err = predict(file, "--env", "production")
    assert (code, f"Nothing serves {MODEL} in production" in err) == (1, True)
    assert predict(file, "--env", "canary")[0] == 2
    serving = Home(other).serving
    shutil.copytree(home[0].serving, serving)
    path = route_file(serving, Environment.STAGING, MODEL)
    route = json.loads(path.read_text())
    path.write_text(json.dumps(route | {"url": "http://127.0.0.1:9"}))
    code, _, err = predict(file, where=other)
    assert (code, "does not answer at http://127.0.0.1:9" in err) == (1, True)
    path.write_text(json.dumps(route | {"transformer": False}))
    code, _, err = predict(file, where=other)
    assert (code, "takes its own columns" in err) == (2, True)
    path.write_text("{}")
    code, _, err = predict(file, where=other)
    assert (code, "sluice up" in err) == (1, True)
    path.write_text(json.dumps(route | {"url": f"{route['url']}/elsewhere"}))
    assert predict(file, where=other)[0] == 1
