"""The reference says of each default what a person would write into the variable."""

from enum import StrEnum

from pydantic import Field, SecretStr

from cli import reference
from kit.settings import Settings, settings_config


class Colour(StrEnum):
    """Something to choose from."""

    RED = "red"
    BLUE = "blue"


class PaintSettings(Settings):
    """How walls are painted."""

    owner = "paint"
    model_config = settings_config("PAINT_")

    brush: str
    """Of the painter."""

    colour: Colour = Colour.RED
    """Of every wall."""

    colours: tuple[Colour, ...] = tuple(Colour)
    """Those in the shop."""

    rooms: dict[Colour, str] = Field(default_factory=dict)
    """Which room is which."""

    layers: dict[str, int] = Field(default_factory=lambda: {"hall": 2})
    """Of paint."""

    dry: bool = True
    """Whether one waits."""

    safe: SecretStr = SecretStr("1234")
    """Never shown."""


def test_a_default_is_shown_as_it_is_written_into_a_variable() -> None:
    """Several parts are JSON, an enum's member is its value, a factory is no demand, a secret stays one."""
    rows = [
        line.split(" | ")[:2]
        for line in reference.settings_page([PaintSettings]).splitlines()
        if "`PAINT_" in line
    ]
    assert {name.strip("| `"): default.strip() for name, default in rows} == {
        "PAINT_BRUSH": "required",
        "PAINT_COLOUR": "`red`",
        "PAINT_COLOURS": '`["red","blue"]`',
        "PAINT_ROOMS": "",
        "PAINT_LAYERS": '`{"hall":2}`',
        "PAINT_DRY": "`true`",
        "PAINT_SAFE": "`…`",
    }
