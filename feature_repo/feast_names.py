"""What this package takes of Feast; nothing else imports it.

Feast marks its classes with `typeguard.typechecked`, which parses and compiles their modules again for every
method: 3.4 of the 5 seconds of processor time that `import feast` takes, in every process that looks a sender
up. The checks are of Feast's own callers, which mypy checks before, so they are left out.

Feast also sets variables that tell prometheus_client to keep counters in files that all registries share: in
this process, unless it was imported before, and in all that this one starts. They are taken back.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import prometheus_client  # noqa: F401 - it reads the variables once, here: before Feast sets them
import typeguard

_SHARED_COUNTERS: Final = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


@contextmanager
def _typeguard_at_rest() -> Iterator[None]:
    checked = typeguard.typechecked
    typeguard.typechecked = _as_it_is  # type: ignore[assignment]
    try:
        yield
    finally:
        typeguard.typechecked = checked


@contextmanager
def _variables_as_they_were() -> Iterator[None]:
    former = {name: os.environ.get(name) for name in _SHARED_COUNTERS}
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _as_it_is(target: Any) -> Any:
    return target


with _typeguard_at_rest(), _variables_as_they_were():
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
