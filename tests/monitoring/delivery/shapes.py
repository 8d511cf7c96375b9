"""What channels accept, as strict models written from their own documentation.

Slack: https://docs.slack.dev/reference/block-kit/blocks and /block-elements/button-element, and
https://docs.slack.dev/reference/messaging/payload. PagerDuty:
https://developer.pagerduty.com/docs/events-api-v2/trigger-events/.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator


class Shape(BaseModel):
    """Nothing but what is documented."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Plain(Shape):
    """Text without markup."""

    type: Literal["plain_text"]
    text: str = Field(min_length=1, max_length=3000)


class Markup(Shape):
    """Text of Slack's markup."""

    type: Literal["mrkdwn"]
    text: str = Field(min_length=1, max_length=3000)
    verbatim: bool = False


class HeaderText(Plain):
    """The text of a header."""

    text: str = Field(min_length=1, max_length=150)


class FieldText(Markup):
    """One field of a section."""

    text: str = Field(min_length=1, max_length=2000)


class Header(Shape):
    """A large line."""

    type: Literal["header"]
    text: HeaderText


class Section(Shape):
    """Text, or fields in two columns."""

    type: Literal["section"]
    text: Markup | None = None
    fields: list[FieldText] | None = Field(default=None, min_length=1, max_length=10)

    @model_validator(mode="after")
    def _one_of_them(self) -> "Section":
        assert self.text is not None or self.fields is not None
        return self


class Context(Shape):
    """Small text."""

    type: Literal["context"]
    elements: list[Markup] = Field(min_length=1, max_length=10)


class ButtonText(Plain):
    """What a button says."""

    text: str = Field(min_length=1, max_length=75)


class Button(Shape):
    """A link."""

    type: Literal["button"]
    text: ButtonText
    url: str = Field(pattern=r"^https?://", max_length=3000)
    action_id: str = Field(min_length=1, max_length=255)


class Actions(Shape):
    """A row of buttons."""

    type: Literal["actions"]
    elements: list[Button] = Field(min_length=1, max_length=25)

    @model_validator(mode="after")
    def _told_apart(self) -> "Actions":
        assert len({each.action_id for each in self.elements}) == len(self.elements)
        return self


Block = Annotated[Header | Section | Context | Actions, Field(discriminator="type")]


class Attachment(Shape):
    """Blocks with a colour."""

    color: str = Field(pattern=r"^#[0-9a-f]{6}$")
    blocks: list[Block] = Field(min_length=1, max_length=50)


class SlackMessage(Shape):
    """The body of a POST to an incoming webhook."""

    text: str = Field(min_length=1, max_length=40_000)
    blocks: list[Block] = Field(min_length=1, max_length=50)
    attachments: list[Attachment] = Field(max_length=100)

    def texts(self) -> list[str]:
        """Returns every text of it."""
        return [self.text, *_texts(self.model_dump(exclude={"text"}))]


class Link(Shape):
    """A link of an incident."""

    href: Annotated[str, Field(pattern=r"^https?://")]
    text: str


class Incident(Shape):
    """What a trigger says."""

    summary: str = Field(min_length=1, max_length=1024)
    source: str = Field(min_length=1)
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: str
    component: str
    group: str
    class_: str = Field(alias="class")
    custom_details: dict[str, Any]

    @model_validator(mode="after")
    def _dated(self) -> "Incident":
        assert datetime.fromisoformat(self.timestamp).utcoffset() is not None
        return self


class PagerDutyEvent(Shape):
    """The body of a POST to `/v2/enqueue`."""

    routing_key: str = Field(min_length=32, max_length=32)
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: str = Field(min_length=1, max_length=255)
    payload: Incident | None = None
    links: list[Link] | None = None
    client: str | None = None
    client_url: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "PagerDutyEvent":
        assert (self.payload is not None) == (self.event_action == "trigger")
        if self.client_url is not None:
            HttpUrl(self.client_url)
        return self


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return []
