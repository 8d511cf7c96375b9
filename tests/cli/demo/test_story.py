"""The whole platform from end to end on a sample of the real corpus: the very command of `make demo`.

Most of it is waiting for processes: two pipelines, two environments, a gateway, monitoring.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.demo.document import DemoDocument
from cli.reference import settings_classes

if TYPE_CHECKING:
    import pyarrow as pa

pytestmark = pytest.mark.xdist_group("story")

MESSAGES = 2000
WINDOW = 150
LIMIT_SECONDS = 1500
SMALL = {
    "TRAINING_EVALUATION_SEEDS": "[0, 1]",
    "TRAINING_BOOTSTRAP_RESAMPLES": "100",
    "MONITORING_DRIFT_MIN_ROWS": "100",
    "SERVING_MLFLOW_PAGES": "false",
}


def test_the_story_holds_what_it_promises(corpus: "pa.Table", tmp_path: Path) -> None:
    """It ends well, every value is of this run, and nothing is left running."""
    import pyarrow.parquet as pq

    sample = corpus.slice(0, MESSAGES)  # ordered by hash: a fair sample
    pq.write_table(sample.select(["raw", "label"]), tmp_path / "mail.parquet")
    home = tmp_path / "home"
    done = subprocess.run(
        (
            *(sys.executable, "-c", "from cli.main import main; main()", "demo", "--json"),
            *(
                "--corpus",
                str(tmp_path / "mail.parquet"),
                "--trials",
                "1",
                "--quick",
                "--window",
                str(WINDOW),
            ),
        ),
        env=_plain() | SMALL | {"SLUICE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    told = DemoDocument.model_validate_json(done.stdout)
    assert DemoDocument.model_validate_json((home / "demo.json").read_text("utf-8")) == told

    spam = sample["label"].to_pylist().count("spam")
    assert (told.corpus.messages, told.corpus.spam) == (MESSAGES, spam)
    assert told.model.f1_low <= told.model.f1 <= told.model.f1_high
    assert told.model.features == 524
    assert told.parity.rows > MESSAGES
    assert told.parity.max_abs_diff <= 1e-6
    assert told.serving.runtime == "triton"
    versions = {each.environment: each.version for each in told.predictions}
    assert versions == {"staging": "2", "production": "1"}
    assert (told.routing.unknown_environment_status, told.routing.wrong_scope_status) == (400, 403)
    assert told.routing.missing_header_environment == "staging"
    assert told.oip_client.ok
    assert (told.drift.quiet.alarm, told.drift.quiet.rows) == (False, WINDOW)
    assert (told.drift.shifted.alarm, told.drift.shifted.rows) == (True, WINDOW)
    assert "header" in told.drift.shifted.families
    assert (told.webhook.delivered, told.webhook.signature_valid) == (True, True)
    assert told.webhook.alert_key.startswith("spam-detector/production/data_drift/")
    assert (told.rollback.source, told.rollback.to, told.rollback.failed_requests) == ("2", "1", 0)
    assert set(told.seconds) >= {"corpus", "first_model", "drift", "rollback", "all"}
    assert _running_for(home) == []


def _plain() -> dict[str, str]:
    """Returns the variables of this process without what other tests set for Sluice."""
    settings = {name for each in settings_classes() for name in each.variables().values()}
    return {
        name: value for name, value in os.environ.items() if name not in settings | {"MLFLOW_TRACKING_URI"}
    }


def _running_for(home: Path) -> list[str]:
    """Returns the commands of the processes that work in `home`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLUICE_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_document_of_other_members_is_no_document_of_the_demo() -> None:
    """Whoever reads it may rely on every member."""
    members = json.loads(json.dumps(DemoDocument.model_json_schema()))["required"]
    assert set(members) == {
        "finished_at", "corpus", "model", "parity", "serving", "predictions", "routing", "oip_client",
        "drift", "webhook", "rollback", "seconds",
    }  # fmt: skip
