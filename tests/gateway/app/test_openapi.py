"""The OpenAPI document: as committed, true in its examples, and held to by made-up requests."""

import asyncio
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from typer.testing import CliRunner

from gateway.commands import gateway as commands
from gateway.documentation.committed import rendered
from gateway.documentation.operations import OPERATIONS
from tests.gateway.app.stand import Stand, standing

COMMITTED = Path(__file__).parents[3] / "gateway" / "openapi.json"
DOCUMENT: dict[str, Any] = orjson.loads(COMMITTED.read_bytes())
CHECKS = [
    status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, unsupported_method,
]  # fmt: skip
CASES = {"predict": 220, "predict_batch": 60, "feedback": 320, "infer": 320, "infer_by_version": 320}
OTHERS = 25
"""Requests of each operation: one and a half thousand in all. A batch takes longest to make up."""
TIMES = int(os.environ.get("MADE_UP_TIMES", "1"))
"""So many times more, and others in each run: `MADE_UP_TIMES=4 pytest tests/gateway/app/test_openapi.py`."""
HERE = {"model": "spam-detector"}
Ask = Callable[["Case[Any]"], httpx.Response]


@pytest.fixture(scope="module")
def ask(root: Path, embedded: dict[str, Any]) -> Iterator[Ask]:
    """Sends a made-up request to a gateway in this process, and returns its answer."""
    with asyncio.Runner() as runner:
        opened = standing(root, **embedded, rate_limit="100000000/hour")
        stand: Stand = runner.run(opened.__aenter__())
        session = requests.Session()
        session.headers.clear()
        key = stand.client.headers["x-api-key"]

        def asked(case: "Case[Any]") -> httpx.Response:
            made = case.as_transport_kwargs(base_url="http://gateway")
            made.pop("timeout", None)
            sent = session.prepare_request(requests.Request(**made))
            headers = {name: value for name, value in sent.headers.items() if name.lower() != "authorization"}
            headers["X-API-Key"] = key
            body = sent.body.encode() if isinstance(sent.body, str) else sent.body
            assert isinstance(body, bytes | None)
            raw = [(_bytes(name), _bytes(value)) for name, value in headers.items()]
            request = httpx.Request(sent.method or "", sent.url or "", headers=raw, content=body)
            return runner.run(stand.client.send(request))

        yield asked
        runner.run(opened.__aexit__(None, None, None))


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")


@functools.cache
def operations() -> dict[str, Any]:
    """Returns the operations of the committed document, by id, as schemathesis sees them."""
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig())
    return {
        found["operationId"]: schema[path][method.upper()]
        for path, methods in DOCUMENT["paths"].items()
        for method, found in methods.items()
    }


def test_the_committed_document_is_that_of_the_routes() -> None:
    """Else: sluice gateway openapi --output gateway/openapi.json."""
    assert COMMITTED.read_text("utf-8") == rendered()
    assert {
        found["operationId"] for methods in DOCUMENT["paths"].values() for found in methods.values()
    } == set(OPERATIONS)


def test_the_command_writes_the_document(tmp_path: Path) -> None:
    """To a file, or to standard output."""
    runner, path = CliRunner(), tmp_path / "openapi.json"
    assert runner.invoke(commands, ["openapi", "--output", str(path)]).exit_code == 0
    printed = runner.invoke(commands, ["openapi"])
    assert path.read_bytes() == COMMITTED.read_bytes() == printed.stdout.encode()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_made_up_request_gets_a_500_or_an_undocumented_answer(name: str, ask: Ask) -> None:
    """Good ones and bad ones; statuses, headers, content types and documents are as the document says."""
    operation = operations()[name]
    place = (
        {"path_parameters": HERE} if "{model}" in operation.path and "{version}" not in operation.path else {}
    )
    modes = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE, **place),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )
    seen: dict[int, int] = {}

    @settings(
        max_examples=CASES.get(name, OTHERS) * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=modes)
    def asked(case: "Case[Any]") -> None:
        answer = ask(case)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.status_code != 500
        case.validate_response(answer, checks=CHECKS)

    asked()
    assert sum(seen.values()) >= OTHERS // 2
    # No tensor is made up by chance, nor a version or the name of an answer.
    assert 200 in seen or "version" in name or name in {"infer", "prediction", "metrics"}, seen


def examples() -> list[tuple[str, str, str, str, Any]]:
    """Returns every example of a request in the document: path, method, media type, name and value."""
    return [
        (path, method, media, name, example["value"])
        for path, methods in DOCUMENT["paths"].items()
        for method, found in methods.items()
        for media, content in found.get("requestBody", {}).get("content", {}).items()
        for name, example in content.get("examples", {}).items()
    ]


@pytest.mark.parametrize(("path", "method", "media", "name", "value"), examples())
async def test_every_example_of_a_request_is_answered(
    path: str, method: str, media: str, name: str, value: Any, root: Path, embedded: dict[str, Any]
) -> None:
    """As they stand in the document; an answer's example has the members of a real one."""
    async with standing(root, **embedded) as stand:
        place = path.format(model="spam-detector", version=(await _version(stand)))
        content = orjson.dumps(value) if media == "application/json" else value.encode()
        answer = await stand.client.request(method, place, content=content, headers={"Content-Type": media})
        assert answer.status_code == 200, answer.text
        told = DOCUMENT["paths"][path][method]["responses"]["200"]["content"]["application/json"]
        if "example" in told:
            assert answer.json().keys() == told["example"].keys()


async def _version(stand: Stand) -> str:
    return str((await stand.client.get("/v1/models")).json()["models"][0]["version"])
