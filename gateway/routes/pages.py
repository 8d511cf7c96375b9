"""`/docs`, `/redoc` and `/openapi.json`: pages that load nothing from elsewhere."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request

from gateway.errors import PathUnknown
from gateway.http import Document
from gateway.passage import Passage
from gateway.routes.lean import LeanRoute
from kit.errors import Bug

_TITLE: Final = "Sluice gateway"
_OPENAPI: Final = "/openapi.json"
_ASSETS: Final = "/docs/assets"
_WHEEL: Final = "fastapi-offline"
"""Its code is not imported; it brings the scripts that FastAPI's pages would load from a public address."""
_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
_POLICY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-inline' blob:; "
    "worker-src blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-ancestors 'none'"
}
_HTML: Final = "text/html; charset=utf-8"


class Pages:
    """Shows the OpenAPI document to people and to programs."""

    def __init__(self, openapi: Callable[[], dict[str, object]]) -> None:
        self._openapi = openapi

    def routes(self) -> list[LeanRoute]:
        """Returns the routes."""
        pages = (
            (_OPENAPI, self.openapi),
            ("/docs", self.swagger),
            ("/redoc", self.redoc),
            (f"{_ASSETS}/{{name}}", self.asset),
        )
        return [LeanRoute(path, page, methods=["GET"], include_in_schema=False) for path, page in pages]

    async def openapi(self, _request: Request, _passage: Passage) -> Document:
        """Gives the OpenAPI document."""
        return Document(orjson.dumps(self._openapi()))

    async def swagger(self, _request: Request, _passage: Passage) -> Document:
        """Shows it as a page from which requests can be sent."""
        page = get_swagger_ui_html(
            openapi_url=_OPENAPI,
            title=_TITLE,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
        )
        return Document(bytes(page.body), content_type=_HTML, headers=_POLICY)

    async def redoc(self, _request: Request, _passage: Passage) -> Document:
        """Shows it as a page to read."""
        page = get_redoc_html(
            openapi_url=_OPENAPI,
            title=_TITLE,
            redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{_ASSETS}/favicon.png",
            with_google_fonts=False,
        )
        return Document(bytes(page.body), content_type=_HTML, headers=_POLICY)

    async def asset(self, request: Request, _passage: Passage) -> Document:
        """Gives a script or a style of these pages.

        Raises:
            PathUnknown: they have no such file.
        """
        name = request.path_params["name"]
        kind = _FILES.get(name)
        if kind is None:
            raise PathUnknown("There is no such file here.")
        return Document(
            _file(name).read_bytes(), content_type=kind, headers={"Cache-Control": "max-age=3600"}
        )


def _file(name: str) -> Path:
    for file in importlib.metadata.files(_WHEEL) or ():
        if file.name == name and file.parent.name == "static":
            return Path(str(file.locate()))
    raise Bug(f"The package {_WHEEL} brings no {name}.")
