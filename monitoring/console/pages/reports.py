"""The stored pages of drift runs. They hold scripts of their own, so a browser keeps each in a sandbox.

In the sandbox a report has no origin: it sees neither cookies nor the console, and loads nothing.
"""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from contracts.monitoring import CONSOLE
from kit.home import Home
from monitoring.console.people import Person
from monitoring.console.site import Site
from monitoring.errors import PathUnknown

POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; worker-src blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_SUFFIX: Final = ".html"


def routes(site: Site) -> list[Route]:
    """Returns its route."""
    home = site.parts.home

    async def report(request: Request, _person: Person) -> Response:
        path = found(home, home.reports / request.path_params["path"])
        if path is None:
            raise PathUnknown(
                "This report is not on this machine.",
                next_step="It lies where the drift job ran; give both the same SLUICE_HOME, or measure "
                "once more: sluice drift run",
            )
        return FileResponse(
            path,
            media_type="text/html",
            content_disposition_type="inline",
            headers={"Content-Security-Policy": POLICY, "Cache-Control": "private, max-age=3600"},
        )

    return [site.page("/reports/{path:path}", report)]


def link(home: Home, stored: str) -> str:
    """Returns the address of the report at a path, whole or below SLUICE_HOME; empty if it is not here."""
    path = found(home, home.root / stored) if stored else None
    if path is None:
        return ""
    below = path.relative_to(home.reports.resolve())
    return f"{CONSOLE}/reports/{quote(str(below))}"


def found(home: Home, path: Path) -> Path | None:
    """Returns where a report really lies, or None if that is no page of a drift run."""
    folder = home.reports / "drift"
    try:
        real = path.resolve(strict=True)
        inside = real.is_relative_to(folder.resolve(strict=True)) and real.is_file()
    except (OSError, ValueError, RuntimeError):  # missing, NUL in the name, a loop of links
        return None
    return real if inside and real.suffix == _SUFFIX else None
