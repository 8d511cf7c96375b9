"""Column types with the rules that both databases share: UTC, clean text, bounded JSON, packed numbers."""

import json
import math
import re
import sys
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, DateTime, Dialect, Double, LargeBinary, String, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

from records.errors import RecordRejected

JSON_MAX_BYTES: Final = 256 * 1024
"""Longest JSON document of one column, in UTF-8."""
NUMBERS_MAX: Final = 4096
"""Most numbers of one row."""
REPLACEMENT: Final = "\ufffd"

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: goes in with any time zone, comes out in UTC, in both databases. A naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Returns `value` in UTC."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise RecordRejected(
                "A time without a time zone cannot be stored.", next_step="Use datetime.now(UTC)."
            )
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Returns `value` with its zone, which SQLite does not keep."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanString(TypeDecorator[str]):
    """Text of at most `length` characters; longer text is refused in both databases alike.

    NUL and lone surrogates, which PostgreSQL or UTF-8 cannot hold, become U+FFFD: such characters come from
    hostile mail, and must not fail the batch that their row travels in.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Returns `value` without what a database cannot hold."""
        if value is None:
            return None
        limit: int | None = self.length
        if limit is not None and len(value) > limit:
            raise RecordRejected(f"A text has {len(value)} characters; its column holds {limit}.")
        return clean_text(value)


class FiniteNumber(TypeDecorator[float]):
    """A double that is a number: SQLite keeps NaN as NULL, and PostgreSQL holds it above every bound."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        """Returns `value` as a Python float."""
        if value is None:
            return None
        if not math.isfinite(value):
            raise RecordRejected(
                "NaN or an infinity cannot be stored.", next_step="Leave out a value that does not exist."
            )
        return float(value)


class Numbers(TypeDecorator[Sequence[float]]):
    """A row of finite numbers, packed as little-endian float32: what the model saw, bit for bit.

    Reading 100,000 rows of 24 took 0.1 s from this form, 1.0 s from a JSON array and 1.9 s from 24 columns
    (SQLite; docs/records.md), and no column names a feature of one workload.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Sequence[float] | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Returns the bytes of `value`, 4 for each number."""
        return None if value is None else packed(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Sequence[float] | None:  # noqa: ARG002
        """Returns the numbers as a tuple."""
        return None if value is None else unpacked(value)


def json_column() -> JSON:
    """Returns the type of a JSON column: JSONB on PostgreSQL, text on SQLite; None is SQL's NULL."""
    return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def json_text(value: Any) -> str:
    """Returns `value` as compact JSON that both databases can hold; the engine's only JSON serialiser.

    Raises:
        RecordRejected: NaN or an infinity, something that is not JSON, or more than `JSON_MAX_BYTES`.
    """
    try:
        text = _dumped(value)
        if "\\u0000" in text or _UNSTORABLE.search(text):
            text = _dumped(_clean(value))
    except (TypeError, ValueError, RecursionError) as exc:
        # ValueError: NaN, an infinity, or a cycle.
        raise RecordRejected(
            "A value is not JSON: NaN, an infinity, or an object that JSON does not know.",
            next_step="Store null for a number that does not exist.",
        ) from exc
    size = len(text.encode())
    if size > JSON_MAX_BYTES:
        raise RecordRejected(f"A JSON value has {size} bytes; a column holds {JSON_MAX_BYTES}.")
    return text


def clean_text(value: str) -> str:
    """Returns `value` with NUL and lone surrogates as U+FFFD."""
    if value.isascii() and "\x00" not in value:  # nearly every value, and ten times faster
        return value
    return _UNSTORABLE.sub(REPLACEMENT, value)


def packed(numbers: Sequence[float]) -> bytes:
    """Returns finite `numbers` as little-endian float32.

    Raises:
        RecordRejected: NaN, an infinity, a number beyond float32, or more than `NUMBERS_MAX`.
    """
    if len(numbers) > NUMBERS_MAX:
        raise RecordRejected(f"A row has {len(numbers)} numbers; at most {NUMBERS_MAX} can be stored.")
    values = array("f", numbers)
    if not all(map(math.isfinite, values)):
        raise RecordRejected("A number is NaN, infinite, or beyond float32.")
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def unpacked(data: bytes) -> tuple[float, ...]:
    """Returns the numbers that `packed` wrote."""
    values = array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return tuple(values)


def _dumped(value: Any) -> str:
    return _ENCODER.encode(value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {
            clean_text(name) if isinstance(name, str) else name: _clean(item) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
