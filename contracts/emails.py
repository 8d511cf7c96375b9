"""A structured e-mail, as a program that has no raw message sends it in JSON."""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

READ_HEADERS: Final = ("subject", "from", "to", "cc", "reply-to")
"""The headers that count, whichever way they come; all others are ignored, as in a raw message."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Addresses = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=10_000)]
"""Written as in a header, `Ann <ann@example.org>`; one string stands for a list of one."""


class StructuredEmail(BaseModel):
    """The fields of one e-mail; each may be left out.

    A field may stand in `headers` instead, under its name in mail, but not in both places.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    subject: str = ""
    sender: str = Field(default="", alias="from")
    """Written as in the header, `Ann <ann@example.org>`."""
    to: Addresses = ()
    cc: Addresses = ()
    reply_to: str = ""
    body: str = ""
    """The text version."""
    html: str = ""
    """The HTML version of the same content."""
    attachments: int = Field(default=0, ge=0, le=10_000)
    """How many there are; their content is never asked for."""
    headers: dict[str, str] = Field(default_factory=dict, max_length=1000)

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        names = [name.lower() for name in self.headers]
        twice = {name for name in names if name in READ_HEADERS and names.count(name) > 1}
        fields = (self.subject, self.sender, self.to, self.cc, self.reply_to)
        twice |= {name for name, field in zip(READ_HEADERS, fields, strict=True) if field and name in names}
        if twice:
            raise ValueError(f"given twice: {', '.join(sorted(twice))}; as a field or in headers, not both")
        return self

    def header(self, name: str) -> str:
        """Returns the value of `name`, in lower case, in `headers`; empty if it is not there."""
        return next((value for key, value in self.headers.items() if key.lower() == name), "")
