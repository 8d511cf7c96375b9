"""What this package takes of Feast; nothing else imports it.

Feast marks its classes with `typeguard.typechecked`, which parses and compiles their modules again for every
method: 3.4 of the 5 seconds of processor time that `import feast` takes, in every process that looks a sender
up. The checks are of Feast's own callers, which mypy checks before, so they are left out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typeguard


@contextmanager
def _typeguard_at_rest() -> Iterator[None]:
    checked = typeguard.typechecked
    typeguard.typechecked = _as_it_is  # type: ignore[assignment]
    try:
        yield
    finally:
        typeguard.typechecked = checked


def _as_it_is(target: Any) -> Any:
    return target


with _typeguard_at_rest():
    from feast import (
        Entity,
        FeatureService,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.types import Float64, Int64

__all__ = [
    "Entity", "EntityKey", "FeatureService", "FeatureStore", "FeatureView", "Field", "FileSource", "Float64",
    "Int64", "RepoConfig", "Value", "ValueType",
]  # fmt: skip
