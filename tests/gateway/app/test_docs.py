"""docs/gateway.md is true: its table of errors is the tree's, and its commands are answered."""

import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.settings import GatewaySettings
from kit.errors import Bug, SluiceError
from tests.gateway.app.stand import Stand
from tests.gateway.app.test_errors import leaves

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "gateway.md").read_text("utf-8")


async def test_the_table_of_errors_is_that_of_the_tree() -> None:
    """Each code with its status, and no other."""
    written = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE)
    there: set[type[SluiceError]] = {*leaves(), Bug}
    assert sorted(written) == sorted((str(leaf.status), leaf.code) for leaf in there)


async def test_every_setting_that_is_named_is_there() -> None:
    """A mistyped one would be looked for in vain."""
    named = set(re.findall(r"\bGATEWAY_[A-Z_]+[A-Z]", PAGE))
    assert named
    assert named <= set(GatewaySettings.variables().values())


def commands() -> list[list[str]]:
    """Returns each curl command of the page, as words."""
    text = PAGE.replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("curl ")]


async def sent(stand: Stand, words: list[str]) -> Any:
    """Does what a curl command does."""
    method, content, headers, url = "GET", None, {}, ""
    options = iter(words[1:])
    for word in options:
        if word == "-H":
            name, _, value = next(options).partition(": ")
            headers[name] = value.replace("$KEY", stand.client.headers["x-api-key"])
        elif word in {"-d", "--data-binary"}:
            method, data = "POST", next(options)
            content = (ROOT / data[1:]).read_bytes() if data.startswith("@") else data.encode()
        elif word != "-s":
            url = word.removeprefix("$GATEWAY")
    return await stand.client.request(method, url, content=content, headers=headers)


async def test_the_commands_are_answered(stand: Stand) -> None:
    """As they stand on the page, with the id of an answer in its place."""
    found = commands()
    assert len(found) == 7
    name = ""
    for words in found:
        answer = await sent(stand, [word.replace("REQUEST_ID", name) for word in words])
        assert answer.status_code == 200, (words, answer.text)
        told = orjson.loads(answer.content)
        if "latency_ms" in told and "verdict" in told:
            name = told["request_id"]
            assert {
                "probability",
                "threshold",
                "environment",
                "model",
                "version",
                "latency_ms",
            } <= told.keys()
        if "items" in told:
            assert (told["answered"], told["refused"]) == (2, 1)
