"""Which paths of `/v2` there are: what is asked of a model, and by which version.

Everything else is unknown, whatever a server behind would do with it: above all the paths by which models are
loaded and unloaded, and memory is shared.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from gateway.errors import MethodRefused, ModelUnknown, PathUnknown
from gateway.upstream.addresses import Address
from gateway.upstream.answers import Unfitting
from gateway.upstream.client import Reply
from gateway.upstream.refusals import unknown_version

INFER: Final = "infer"
READY: Final = "ready"
_OF_TRITON: Final = frozenset({"config", "stats"})
_PAGES: Final = frozenset({None, INFER, READY}) | _OF_TRITON
_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}")


class Page(NamedTuple):
    """A page of a model."""

    model: str
    version: str | None
    """Where the path names one."""
    name: str | None
    """None for the description of the model."""


def page_of(path: Sequence[str], method: str) -> Page:
    """Returns what `/v2/{path}` asks of a model.

    Raises:
        PathUnknown: there is no such path.
        ModelUnknown: the version is no number.
        MethodRefused: it is asked in another way.
    """
    match list(path):
        case ["models", model]:
            page = Page(model, None, None)
        case ["models", model, "versions", version]:
            page = Page(model, version, None)
        case ["models", model, "versions", version, name]:
            page = Page(model, version, name)
        case ["models", model, name]:
            page = Page(model, None, name)
        case _:
            raise _unknown_path()
    if page.name not in _PAGES:
        raise _unknown_path()
    if page.version is not None and not _VERSION.fullmatch(page.version):
        raise ModelUnknown("A version is a number.", next_step="Leave it out, or GET /v1/models.")
    require_method("POST" if page.name == INFER else "GET", method)
    return page


def require_method(allowed: str, method: str) -> None:
    """Returns if a path is asked in the way that it is there for.

    Raises:
        MethodRefused: it is not.
    """
    if method != allowed and (allowed, method) != ("GET", "HEAD"):
        raise MethodRefused(f"This path is asked by {allowed}.", allowed=allowed)


def require_there(page: Page, address: Address) -> None:
    """Returns if the model at `address` has the page.

    Raises:
        PathUnknown: a transformer does not have it.
        ModelUnknown: the version is another one than that which answers.
    """
    if address.transformer and page.name in _OF_TRITON:
        raise _unknown_path()
    if page.version is not None and not address.transformer and address.version not in {None, page.version}:
        raise unknown_version(address)


def described(page: Page, reply: Reply, address: Address) -> bytes:
    """Returns the page as the client gets it.

    Raises:
        Unfitting: what came is not that page of that model.
    """
    if page.name == READY:
        return orjson.dumps({"name": address.model, "ready": True})
    try:
        read = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise Unfitting("its page is not JSON") from None
    if not isinstance(read, dict) or _named(read, page) != address.model:
        raise Unfitting("its page is of another model")
    return orjson.dumps(read)


def _named(read: Mapping[str, Any], page: Page) -> Any:
    if page.name != "stats":
        return read.get("name")
    listed = read.get("model_stats")
    names = {one.get("name") if isinstance(one, dict) else None for one in listed or ()}
    return next(iter(names)) if len(names) == 1 else None


def _unknown_path() -> PathUnknown:
    return PathUnknown(
        "There is no such path.",
        next_step="Infer at /v2/models/MODEL/infer; GET /v1/models names the models.",
    )
