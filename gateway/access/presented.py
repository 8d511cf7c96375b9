"""The key that a request presents: `Authorization: Bearer KEY` or `X-API-Key: KEY`."""

from collections.abc import Mapping
from typing import Final

from contracts.headers import API_KEY
from gateway.errors import KeyMissing

AUTHORIZATION: Final = "authorization"
_API_KEY: Final = API_KEY.lower()
NEXT_STEP: Final = f"Send a key as `Authorization: Bearer KEY` or `{API_KEY}: KEY`."


def presented(headers: Mapping[str, str]) -> str | None:
    """Returns what the headers (lower-case names) hold in the place of a key; None if they hold nothing.

    An Authorization of another scheme is somebody else's, such as a proxy's, if there is an X-API-Key.

    Raises:
        KeyMissing: two keys are there, and are not the same; or only an Authorization of another scheme.
    """
    own = headers.get(_API_KEY, "").strip()
    authorization = headers.get(AUTHORIZATION, "").strip()
    if not authorization:
        return own or None
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() != "bearer":
        if own:
            return own
        raise KeyMissing("The Authorization header holds no Bearer key.", next_step=NEXT_STEP)
    bearer = bearer.strip()
    if own and bearer and own != bearer:
        raise KeyMissing(
            f"Authorization and {API_KEY} hold different keys.", next_step="Send one of the two."
        )
    return bearer or own or None
