"""The body of a hook: JSON by its own word, and not read any further than it may be long."""

from typing import Final

from starlette.requests import Request

from monitoring.errors import BodyTooLarge, HookOtherMedia

_JSON: Final = "application/json"


async def body_of(request: Request, *, most: int) -> bytes:
    """Returns the body.

    Raises:
        HookOtherMedia: its content type is another one than JSON.
        BodyTooLarge: it has more than `most` bytes; what is beyond was not read.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _JSON:
        raise HookOtherMedia(f"This hook takes {_JSON}.", next_step=f"Send Content-Type: {_JSON}.")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > len(str(most)) or int(length) > most):
        raise _too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"A message to this hook has at most {most:,} bytes.")
