"""Model versions told as plain values: in a list, alone, and side by side."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contracts.environments import Environment
from kit import bundle
from kit.bundle import Bundle
from kit.home import Home
from records.model_versions import ModelVersion, VersionMissing
from training import registry
from training.registry import Registry
from training.settings import TrainingSettings

_BUNDLE: Final = "bundle"


def opened(home: Home) -> Registry:
    """Returns the registry of this machine, with the patience that the settings allow."""
    return registry.opened(home, timeout_seconds=TrainingSettings.load().registry_timeout_seconds)


def listed(tracking: Registry, name: str) -> list[dict[str, Any]]:
    """Returns every version of a model, newest first, with the figures of its run."""
    return [_about(each) | {"figures": tracking.run_figures(each.run_id)} for each in tracking.versions(name)]


def described(tracking: Registry, name: str, which: str) -> dict[str, Any]:
    """Returns all that is known of one version; `which` is a number or an environment.

    Raises:
        VersionMissing: there is no such version, or the environment points at none.
        BundleDamaged: what the registry holds is not what was registered.
    """
    version, made = _fetched(tracking, name, which)
    contract, parity = made
    return {
        "version": version.version,
        "reasons": list(version.reasons),
        "about": {
            name: value for name, value in _about(version).items() if name not in {"version", "reasons"}
        },
        "figures": dict(sorted(contract.metrics.items())),
        "parameters": contract.lineage.parameters,
        "data": _data(contract),
        "features": list(contract.feature_names),
        "certificate": {
            name: value for name, value in parity.model_dump(mode="json").items() if name != "format_version"
        },
        "files": contract.files,
    }


def differences(tracking: Registry, name: str, first: str, second: str) -> dict[str, Any]:
    """Returns two versions side by side: every figure, and of the rest what differs.

    Raises:
        VersionMissing: there is no such version, or the environment points at none.
        BundleDamaged: what the registry holds is not what was registered.
    """
    one, (a, _) = _fetched(tracking, name, first)
    other, (b, _) = _fetched(tracking, name, second)
    figures = [
        row | {"difference": _less(row["second"], row["first"])} for row in _rows(a.metrics, b.metrics)
    ]
    only_first = sorted(set(a.feature_names) - set(b.feature_names))
    only_second = sorted(set(b.feature_names) - set(a.feature_names))
    return {
        "first": one.version,
        "second": other.version,
        "figures": figures,
        "parameters": _differing(a.lineage.parameters, b.lineage.parameters),
        "data": _differing(_data(a), _data(b)),
        "features": {
            "only_first": only_first,
            "only_second": only_second,
            "shared": len(set(a.feature_names) & set(b.feature_names)),
        },
    }


def _fetched(tracking: Registry, name: str, which: str) -> tuple[ModelVersion, tuple[Any, Any]]:
    version = _found(tracking, name, which)
    with tempfile.TemporaryDirectory() as folder:
        made: Bundle = bundle.load(
            tracking.download(name, version.version, Path(folder) / _BUNDLE), digest=version.bundle_digest
        )
        return version, (made.contract, made.parity)


def _found(tracking: Registry, name: str, which: str) -> ModelVersion:
    if which not in set(Environment):
        return tracking.version(name, which)
    pointed = tracking.pointed(name, Environment(which))
    if pointed is None:
        raise VersionMissing(
            f"Nothing of {name} is in {which} yet.", next_step="See what there is: sluice model list"
        )
    return pointed


def _about(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "standing": version.standing.value,
        "aliases": list(version.aliases),
        "reasons": list(version.reasons),
        "created_at": version.created_at.isoformat(timespec="seconds"),
        "run_id": version.run_id,
        "bundle_digest": version.bundle_digest,
    }


def _data(contract: Any) -> dict[str, Any]:
    lineage = contract.lineage
    return {
        "data_fingerprint": lineage.data_fingerprint,
        "split_seed": lineage.split_seed,
        "schema_digest": lineage.schema_digest,
        "git_commit": lineage.git_commit,
        "threshold": contract.threshold,
        **{f"library {name}": version for name, version in lineage.libraries.items()},
    }


def _rows(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "first": first.get(name), "second": second.get(name)}
        for name in sorted(first.keys() | second.keys())
    ]


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in _rows(first, second) if row["first"] != row["second"]]


def _less(second: float | None, first: float | None) -> float | None:
    return None if first is None or second is None else second - first
