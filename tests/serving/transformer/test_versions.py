"""Which bundles a transformer takes, and what its arguments and settings say together."""

from pathlib import Path
from typing import Any

import pytest

from kit.bundle import Bundle
from kit.errors import UsageError
from serving.golden import ContractMismatch
from serving.transformer.server import settings_of, target_of
from serving.transformer.settings import TransformerSettings
from serving.transformer.versions import require_our_features


def test_a_bundle_of_our_features_is_taken(mails_1: Bundle) -> None:
    """The usual one."""
    require_our_features(mails_1.contract)


def test_a_bundle_of_other_features_is_refused_before_anything_is_asked(
    mails_1: Bundle, flowers_1: Bundle
) -> None:
    """Its answers would be right by its own graph, and wrong for our numbers."""
    other = mails_1.contract.model_copy(update={"schema_digest": "0" * 64})
    with pytest.raises(ContractMismatch) as refused:
        require_our_features(other)
    assert "list of features" in refused.value.reasons[0]
    with pytest.raises(ContractMismatch) as refused:
        require_our_features(flowers_1.contract)
    assert len(refused.value.reasons) == 3


def test_kserve_s_arguments_stand_above_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that it appends to the host is asked; without one that of the Service."""
    monkeypatch.setenv("TRANSFORMER_BUNDLE", "/mnt/bundle")
    monkeypatch.setenv("TRANSFORMER_VERSION", "7")
    monkeypatch.setenv("TRANSFORMER_PORT", "1")
    settings = settings_of(
        ["--model_name", "spam-detector", "--predictor_host", "predictor.spam:8080", "--http_port", "8080"]
    )
    target = target_of(settings)
    assert target is not None
    assert (settings.port, target.version, target.bundle) == (8080, "7", Path("/mnt/bundle"))
    assert target.triton_http == "predictor.spam:8080"
    plain = target_of(settings_of(["--predictor_host", "predictor.spam"]))
    assert plain is not None
    assert plain.triton_http == "predictor.spam:80"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"route": "r", "version": "1"},
        {"bundle": "b", "version": "1"},
        {"bundle": "b", "predictor_host": "h"},
    ],
)
def test_what_is_served_must_be_said_once_and_whole(values: dict[str, Any]) -> None:
    """Neither nothing, nor a route and more, nor a half."""
    with pytest.raises(UsageError):
        target_of(TransformerSettings.load(**values))


def test_another_model_is_refused() -> None:
    """A transformer of e-mails before another model would answer nonsense."""
    with pytest.raises(UsageError, match="iris"):
        settings_of(["--model_name", "iris"])
