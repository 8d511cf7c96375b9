"""Logs are facts, and hold no e-mail and no secret."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from kit import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A configured log in memory; the former root handlers come back afterwards.

    structlog stays configured: its loggers keep what they first saw, and nothing takes that back.
    """
    root = logging.getLogger()
    former, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.PACKAGES}
    root.handlers = []
    written = io.StringIO()
    logs.configure(stream=written)
    yield written
    root.handlers = former
    root.setLevel(level)
    for name, of_package in levels.items():
        logging.getLogger(name).setLevel(of_package)


def test_a_line_off_a_terminal_is_one_json_document(stream: io.StringIO) -> None:
    """Event, level, time and fields stand at the top level."""
    structlog.get_logger("gateway").info("prediction_served", duration_seconds=0.25)
    line = json.loads(stream.getvalue())
    assert line["event"] == "prediction_served"
    assert line["level"] == "info"
    assert line["duration_seconds"] == 0.25
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("field", ["raw", "subject", "body", "password", "api_key"])
def test_payloads_and_secrets_are_replaced(stream: io.StringIO, field: str) -> None:
    """Whoever logs them, they do not reach the stream."""
    structlog.get_logger("gateway").info("received", **{field: "my private text"})
    assert "private" not in stream.getvalue()
    assert json.loads(stream.getvalue())[field] == logs.REDACTED


def test_records_of_the_standard_library_take_the_same_form(stream: io.StringIO) -> None:
    """A dependency's log line is JSON too."""
    logging.getLogger("uvicorn").warning("port %d is taken", 80)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("port 80 is taken", "warning", "uvicorn")


def test_libraries_are_heard_from_warning_on_and_we_from_info_on(stream: io.StringIO) -> None:
    """The steps of a migration are not our reader's business; what goes wrong in them is."""
    logging.getLogger("a_library.part").info("Running upgrade")
    logging.getLogger("a_library.part").warning("Table is gone")
    structlog.get_logger("records.migrate").info("upgraded")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "Table is gone",
        "upgraded",
    ]


def test_libraries_are_heard_wholly_at_debug(stream: io.StringIO) -> None:
    """Whoever looks for a fault asks for everything."""
    logs.configure(level="DEBUG", stream=stream)
    logging.getLogger("a_library.part").debug("Running upgrade")
    assert "Running upgrade" in stream.getvalue()


def test_the_stack_of_an_exception_is_structured(stream: io.StringIO) -> None:
    """A bug's stack is data, and not a run of lines."""
    try:
        int("no number")
    except ValueError:
        structlog.get_logger("gateway").exception("failed")
    assert json.loads(stream.getvalue())["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("as_json", [True, False])
def test_locals_of_a_stack_are_not_logged(stream: io.StringIO, as_json: bool) -> None:
    """A variable that holds an e-mail does not leave with the stack, in neither form."""
    logs.configure(stream=stream, json=as_json)
    letter = ["the body of a private letter"]
    try:
        int(len(letter) * "x")
    except ValueError:
        structlog.get_logger("gateway").exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "private letter" not in stream.getvalue()


def test_a_logger_that_was_used_before_is_captured_after_another_configuration(stream: io.StringIO) -> None:
    """A process may configure again; what looks at the log then still sees every line."""
    logger = structlog.get_logger("gateway")
    logger.info("before")
    logs.configure(stream=stream)
    with capture_logs() as captured:
        logger.info("after")
    assert [entry["event"] for entry in captured] == ["after"]
