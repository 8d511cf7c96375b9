"""The gateway as a Lambda function: the real runtime client, and events as API Gateway makes them."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.gateway import development_key_file
from feature_repo.settings import FeatureRepoSettings
from gateway.lambda_handler import require_records
from gateway.settings import GatewaySettings
from kit.bundle import Bundle
from kit.settings import SettingsError
from serving.scorer import Scorer
from tests.gateway.embedded.runtime_api import RuntimeApi, runtime_api
from tests.records.conftest import migrated

MAIL = b"From: Win <win@example.org>\nSubject: prize\n\nclaim it \xff\xfe\n"


class Function:
    """A sandbox with the function in it."""

    def __init__(self, api: RuntimeApi, home: Path) -> None:
        self._api = api
        self._home = home

    def asked(self, method: str, path: str, body: bytes | str | None = None, **heads: str) -> dict[str, Any]:
        """Returns the answer to an event of an HTTP API; bytes come in Base64."""
        came = self._api.asked(event(method, path, body, heads))
        assert came.what == "response", came
        answer: dict[str, Any] = came.document
        assert answer["isBase64Encoded"] is False
        return answer | {"document": json.loads(answer["body"])}

    def failed(self, document: Any) -> dict[str, Any]:
        """Returns the error that an event comes to."""
        came = self._api.asked(document)
        assert came.what == "error", came
        error: dict[str, Any] = came.document
        return error

    @property
    def key(self) -> str:
        """A key that is let in."""
        return development_key_file(self._home).read_text().strip()

    def rows(self) -> int:
        """Returns how many predictions are remembered."""
        with sqlite3.connect(self._home / "records.db") as records:
            return int(records.execute("SELECT count(*) FROM prediction_logs").fetchone()[0])


def event(method: str, path: str, body: bytes | str | None, heads: dict[str, str]) -> dict[str, Any]:
    """Returns an event of an HTTP API in the format 2.0."""
    document: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "x.example.org", "x-forwarded-proto": "https", **heads},
        "requestContext": {
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": "r", "stage": "$default", "timeEpoch": 0,
        },
        "isBase64Encoded": isinstance(body, bytes),
    }  # fmt: skip
    if body is not None:
        document["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return document


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory, mails_1: Bundle) -> Iterator[Function]:
    """The function in a process of its own, started as its image does it."""
    home = tmp_path_factory.mktemp("lambda")
    address = f"sqlite+aiosqlite:///{home / 'records.db'}"
    migrated(address)
    bundles = {name: str(mails_1.folder) for name in ("staging", "production")}
    with runtime_api() as api, (home / "log").open("wb") as log:
        variables = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "SLUICE_HOME": str(home),
            "RECORDS_URL": address,
            "GATEWAY_BACKEND": "embedded",
            "GATEWAY_DEVELOPMENT": "true",
            "GATEWAY_TIMEOUT_SECONDS": "30",
            "GATEWAY_BUNDLES": json.dumps(bundles),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "gateway.lambda_handler.handler"],
            env={**os.environ, **variables}, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Function(api, home)
        finally:
            process.kill()
            process.wait()


def test_a_message_is_answered_as_the_scorer_does_and_remembered_by_then(
    function: Function, mails_1: Bundle
) -> None:
    """Bytes that are no text come in Base64; the row is there when the answer is."""
    assert function.asked("GET", "/health/live")["statusCode"] == 200
    heads = {"x-api-key": function.key, "content-type": "message/rfc822", "x-environment": "production"}
    wanted = Scorer(mails_1, FeatureRepoSettings.load()).score([MAIL], datetime.now(UTC))
    for count in (1, 2, 3):
        answer = function.asked("POST", "/v1/predict", MAIL, **heads)
        assert answer["statusCode"] == 200
        assert answer["headers"]["x-model-version"] == mails_1.digest[:12]
        assert answer["document"]["probability"] == float(wanted.probabilities[0, 1])
        assert answer["document"]["environment"] == "production"
        assert function.rows() == count


def test_json_and_errors_are_answered_as_anywhere(function: Function) -> None:
    """A structured e-mail; no key, no such path, a wrong field: problem documents in clear text."""
    heads = {"content-type": "application/json"}
    assert function.asked("POST", "/v1/predict", "{}", **heads)["statusCode"] == 401
    heads |= {"x-api-key": function.key}
    good = function.asked("POST", "/v1/predict", '{"subject": "prize"}', **heads)
    assert good["document"]["verdict"] in {"spam", "ham"}
    wrong = function.asked("POST", "/v1/predict", '{"colour": 1}', **heads)
    assert (wrong["statusCode"], wrong["document"]["code"]) == (422, "validation_failed")
    assert wrong["headers"]["content-type"] == "application/problem+json"
    assert function.asked("GET", "/nowhere", **heads)["statusCode"] == 404
    assert function.asked("GET", "/health/ready")["document"]["environments"] == {
        "staging": True,
        "production": True,
    }


def test_an_event_that_is_none_of_http_is_an_error_and_the_next_one_is_answered(function: Function) -> None:
    """As of a schedule that was pointed at the function by mistake."""
    assert "errorType" in function.failed({"source": "aws.events"})
    assert function.asked("GET", "/health/live")["statusCode"] == 200


def test_predictions_need_a_database_outside_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the decision to remember nothing."""
    monkeypatch.delenv("RECORDS_URL", raising=False)
    with pytest.raises(SettingsError, match="database"):
        require_records(GatewaySettings.load())
    require_records(GatewaySettings.load(record=False))
