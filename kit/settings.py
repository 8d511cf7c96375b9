"""The base of every settings class: one prefix, frozen, and no mistyped variable goes unnoticed.

A setting comes from its environment variable `<PREFIX><FIELD>`; from the file that `<PREFIX><FIELD>_FILE`
names, for secrets mounted as files; or from its default. Nothing else is read.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as Unparsable

from kit.errors import UsageError

FILE_SUFFIX = "_FILE"


class SettingsError(UsageError):
    """A setting is unknown, missing, or out of its bounds."""

    code = "settings"
    title = "Wrong settings"


class _FileSource(PydanticBaseSettingsSource):
    """Reads `<PREFIX><FIELD>_FILE`: the value is the file's text without the closing line break."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.config['env_prefix']}{field_name}{FILE_SUFFIX}".upper()
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError(f"{variable} names a file that cannot be read as text: {path}") from exc
        return text, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, complex_ = self.get_field_value(field, name)
            if value is None:
                continue
            if complex_:
                try:
                    value = self.decode_complex_value(name, field, value)
                except ValueError as exc:
                    variable = f"{self.config['env_prefix']}{name}{FILE_SUFFIX}".upper()
                    raise SettingsError(f"{variable} names a file that holds no JSON.") from exc
            found[key] = value
        return found


class Settings(BaseSettings):
    """A frozen group of settings with a prefix of its own.

    Subclasses set `model_config = settings_config("RECORDS_")` and give every field a docstring and, if it is
    a number, bounds. Build them with `load()`: it turns every complaint into one `SettingsError`.
    """

    owner: ClassVar[str] = ""
    """The package these settings belong to, for the reference page."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns the sources in order of precedence: arguments, variables, files."""
        return init_settings, env_settings, _FileSource(settings_cls)

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Returns the settings of this process; `values` stand above the environment.

        Raises:
            SettingsError: a variable of the prefix is unknown, a value is out of bounds, or one is missing.
        """
        cls._refuse_unknown(os.environ)
        try:
            return cls(**values)
        except Unparsable as exc:
            variables = cls.variables()
            named = next(variables[field] for field in variables if f'"{field}"' in str(exc))
            raise SettingsError(f"{named} holds no JSON.") from exc
        except ValidationError as exc:
            raise SettingsError("; ".join(cls._complaint(item) for item in exc.errors())) from exc

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Returns the environment variable of each field, by field name."""
        return {name: f"{cls.model_config['env_prefix']}{name}".upper() for name in cls.model_fields}

    @classmethod
    def _refuse_unknown(cls, environment: Mapping[str, str]) -> None:
        # pydantic-settings' own extra="forbid" does not see a mistyped variable at the top level.
        prefix = cls.model_config["env_prefix"].upper()
        known = set(cls.variables().values())
        known |= {f"{variable}{FILE_SUFFIX}" for variable in known}
        for variable in sorted(environment):
            if not variable.upper().startswith(prefix) or variable.upper() in known:
                continue
            close = difflib.get_close_matches(variable.upper(), known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see docs/reference/settings.md"
            raise SettingsError(f"{variable} is not a setting of Sluice: {hint} Unset it or correct it.")

    @classmethod
    def _complaint(cls, item: Any) -> str:
        field, *inside = (str(step) for step in item["loc"] or ("",))
        name = ".".join((cls.variables().get(field, field), *inside))
        return f"{name}: {item['msg']}"


def settings_config(prefix: str) -> SettingsConfigDict:
    """Returns the configuration that every settings class shares, for the prefix `<PACKAGE>_`."""
    return SettingsConfigDict(
        env_prefix=prefix,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        validate_default=True,
    )
