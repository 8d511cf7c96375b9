"""The files that pages load: our style and icon, and HTMX out of the wheel that brings it."""

import hashlib
import importlib.metadata
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.monitoring import CONSOLE
from kit.errors import Bug
from monitoring.errors import PathUnknown

_STATIC: Final = Path(__file__).parent / "static"
_WHEEL: Final = "django-htmx"
"""Its code is not imported; `[tool.uv]` in pyproject.toml keeps Django out."""
_HTMX: Final = "htmx-2.min.js"
_KINDS: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Assets:
    """Every file, read once; its address holds a digest, so that a browser may keep it for good."""

    def __init__(self) -> None:
        self._files = {name: _read(name) for name in _KINDS}
        self._digests = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._files.items()}

    def address(self, name: str) -> str:
        """Returns the path of a file."""
        return f"{CONSOLE}/static/{self._digests[name]}/{name}"

    def routes(self) -> list[Route]:
        """Returns the route of the files; they need no sign-in, for the page of the sign-in has them too."""
        return [Route("/static/{digest}/{name}", self._file, methods=["GET"])]

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["digest"] != self._digests.get(name):
            raise PathUnknown("There is no such file here.", next_step="Load the page anew.")
        return Response(
            self._files[name],
            HTTPStatus.OK,
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
            media_type=_KINDS[name],
        )


def _read(name: str) -> bytes:
    if name != "htmx.js":
        return (_STATIC / name).read_bytes()
    for file in importlib.metadata.files(_WHEEL) or ():
        if file.name == _HTMX:
            return Path(str(file.locate())).read_bytes()
    raise Bug(f"The package {_WHEEL} brings no {_HTMX}.")
