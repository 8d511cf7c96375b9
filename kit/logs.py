"""Logs are facts: one event name and its fields, JSON off a terminal, readable on one.

Standard-library records (uvicorn, alembic, …) go through the same processors. The content of an e-mail is
never logged: fields of these names are replaced, whoever logs them.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

PAYLOAD_FIELDS: Final = frozenset(
    {"raw", "body", "email", "text", "subject", "headers", "payload", "message_bytes"}
)
SECRET_FIELDS: Final = frozenset({"password", "secret", "token", "api_key", "authorization"})
REDACTED: Final = "[redacted]"
PACKAGES: Final = (
    "contracts", "kit", "records", "feature_repo", "training",
    "serving", "gateway", "monitoring", "pipelines", "cli",
)  # fmt: skip
"""The loggers that are ours: they are named after their modules."""

# The locals of a frame may hold an e-mail, so a stack is logged without them.
_STACK: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the values of payload and secret fields; a structlog processor."""
    for name in event.keys() & (PAYLOAD_FIELDS | SECRET_FIELDS):
        event[name] = REDACTED
    return event


_SHARED: Final[list[structlog.typing.Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    redact,
]
# One list for the whole process: a logger keeps the one it first saw, and a test that captures changes it.
_OURS: Final[list[structlog.typing.Processor]] = [
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def configure(*, level: str = "INFO", stream: TextIO | None = None, json: bool | None = None) -> None:
    """Sets up structlog and the standard library's root logger to write to `stream` (standard error).

    `level` is that of our own packages; libraries are heard from WARNING on, and wholly at DEBUG. `json`
    chooses the form; None means JSON unless `stream` is a terminal.
    """
    stream = stream or sys.stderr
    as_json = not stream.isatty() if json is None else json
    structlog.configure(
        processors=_OURS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    final: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        final += [_STACK, structlog.processors.JSONRenderer()]
    else:
        final += [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=final))
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
        former.close()
    root.addHandler(handler)
    # What a library tells at INFO (each Alembic step, each Feast refresh) is noise to our reader.
    root.setLevel(level if level in ("DEBUG", "ERROR") else "WARNING")
    for package in PACKAGES:
        logging.getLogger(package).setLevel(level)
