"""The base of every settings class."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from kit.errors import ExitCode
from kit.settings import Settings, SettingsError, settings_config


class PondSettings(Settings):
    """Settings of a pond."""

    owner = "pond"
    model_config = settings_config("POND_")

    depth_metres: float = Field(default=2.0, gt=0, le=100)
    """How deep it is."""

    key: SecretStr = SecretStr("")
    """What opens the gate."""

    fish: dict[str, int] = Field(default_factory=dict)
    """How many of each, as JSON."""


def test_a_variable_with_the_prefix_sets_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """POND_DEPTH_METRES reaches depth_metres."""
    monkeypatch.setenv("POND_DEPTH_METRES", "3.5")
    assert PondSettings.load().depth_metres == 3.5


def test_a_mistyped_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error never leaves a default silently in place."""
    monkeypatch.setenv("POND_DEPHT_METRES", "3.5")
    with pytest.raises(SettingsError, match=r"POND_DEPHT_METRES.*did you mean POND_DEPTH_METRES") as caught:
        PondSettings.load()
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_variable_of_another_prefix_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """PONDEROUS is not in the family of POND_."""
    monkeypatch.setenv("PONDEROUS", "yes")
    assert PondSettings.load().depth_metres == 2.0


@pytest.mark.parametrize("value", ["0", "101", "deep", "nan", ""])
def test_a_value_out_of_bounds_is_refused_by_its_variable_name(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The complaint names the variable that a person would set."""
    monkeypatch.setenv("POND_DEPTH_METRES", value)
    with pytest.raises(SettingsError, match="POND_DEPTH_METRES"):
        PondSettings.load()


def test_a_secret_is_read_from_a_file_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """POND_KEY_FILE names a mounted secret; the closing line break is not part of it."""
    secret = tmp_path / "key"
    secret.write_text("open sesame\n", encoding="utf-8")
    monkeypatch.setenv("POND_KEY_FILE", str(secret))
    settings = PondSettings.load()
    assert settings.key.get_secret_value() == "open sesame"
    assert "sesame" not in repr(settings)


def test_a_secret_file_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing mount never becomes an empty secret."""
    monkeypatch.setenv("POND_KEY_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="POND_KEY_FILE"):
        PondSettings.load()


def test_a_variable_stands_above_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The order of sources is arguments, variables, files."""
    secret = tmp_path / "key"
    secret.write_text("from file", encoding="utf-8")
    monkeypatch.setenv("POND_KEY_FILE", str(secret))
    monkeypatch.setenv("POND_KEY", "from variable")
    assert PondSettings.load().key.get_secret_value() == "from variable"
    assert PondSettings.load(key=SecretStr("from argument")).key.get_secret_value() == "from argument"


def test_settings_are_frozen() -> None:
    """A process cannot change its own settings."""
    settings = PondSettings.load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.depth_metres = 1.0


def test_a_complaint_does_not_repeat_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was put into the wrong variable is not echoed."""
    monkeypatch.setenv("POND_DEPTH_METRES", "hunter2")
    with pytest.raises(SettingsError) as caught:
        PondSettings.load()
    assert "hunter2" not in caught.value.message


def test_a_structured_setting_is_json_in_a_variable_or_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is no JSON is refused by the name of its variable, and nothing of it is shown."""
    kept = tmp_path / "fish.json"
    kept.write_text('{"carp": 3}\n', encoding="utf-8")
    monkeypatch.setenv("POND_FISH_FILE", str(kept))
    assert PondSettings.load().fish == {"carp": 3}
    kept.write_text('{"open sesame', encoding="utf-8")
    with pytest.raises(SettingsError, match="POND_FISH_FILE names a file that holds no JSON") as caught:
        PondSettings.load()
    assert "sesame" not in str(caught.value)
    monkeypatch.setenv("POND_FISH", '{"open sesame')
    monkeypatch.delenv("POND_FISH_FILE")
    with pytest.raises(SettingsError, match="POND_FISH holds no JSON") as caught:
        PondSettings.load()
    assert "sesame" not in str(caught.value)
