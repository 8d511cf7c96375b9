"""A structured e-mail, as a program sends it in JSON, to the same message that its raw form would give."""

from collections.abc import Sequence

from feature_repo import headers as header
from feature_repo.body import visible
from feature_repo.defects import Defect, Defects
from feature_repo.message import DEFAULT_LIMITS, Message, MessageLimits
from feature_repo.mime import Leaf


def compose(  # noqa: PLR0913 - the fields of an e-mail, by name only
    *,
    subject: str = "",
    sender: str = "",
    to: Sequence[str] = (),
    reply_to: str = "",
    text: str = "",
    html: str = "",
    attachments: int = 0,
    limits: MessageLimits = DEFAULT_LIMITS,
) -> Message:
    """Returns the message of these fields; never raises.

    `sender`, `to` and `reply_to` are written as in a header: `Ann <ann@example.org>`. `text` and `html` are
    versions of the same content, as in multipart/alternative. What exceeds `limits` is cut and counted.
    """
    defects = Defects()
    plain, markup = text.encode("utf-8", "replace"), html.encode("utf-8", "replace")
    if len(plain) + len(markup) > limits.max_bytes:
        defects[Defect.TRUNCATED] += 1
        plain = plain[: limits.max_bytes]
        markup = markup[: limits.max_bytes - len(plain)]
    leaves = [_leaf("text/plain", 0, len(plain))] if plain or not markup else []
    if markup:
        leaves.append(_leaf("text/html", len(plain), len(plain) + len(markup)))
    body = visible(plain + markup, leaves, defects)
    # There is no header to violate a standard here, so what headers would count is not.
    ignored = Defects()
    written_by = header.mailbox(_bytes(sender), ignored)
    return Message(
        subject=header.text_of(_bytes(subject), ignored),
        # Mail can carry such a subject in encoded words only.
        subject_is_encoded=not subject.isascii(),
        sender=written_by.address,
        sender_name=written_by.name,
        recipients=header.addresses([_bytes(address) for address in to], ignored),
        reply_to=header.mailbox(_bytes(reply_to), ignored).address,
        text=body.text,
        text_characters=body.text_characters,
        html_characters=body.html_characters,
        hidden_characters=body.hidden_characters,
        links=body.links,
        images=body.images,
        forms=body.forms,
        parts=min(len(leaves) + attachments, limits.max_parts),
        attachments=min(attachments, limits.max_parts),
        defects=dict(defects),
    )


def _leaf(kind: str, start: int, end: int) -> Leaf:
    return Leaf(
        kind=kind, charset="utf-8", encoding="", is_attachment=False, alternative=1, start=start, end=end
    )


def _bytes(value: str) -> bytes:
    """Returns a header value on one line."""
    return " ".join(value.splitlines()).encode("utf-8", "replace")
