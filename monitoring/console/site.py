"""The console as one small application: who may see a page, what its answer holds, and how errors look.

Nothing in a page comes from elsewhere and no script stands in one, so that a page can be told to load and to
run nothing but our own files.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.monitoring import CONSOLE
from kit.errors import CallerError, SluiceError
from monitoring.console import words
from monitoring.console.assets import Assets
from monitoring.console.people import People, Person
from monitoring.errors import PathUnknown
from monitoring.parts import Parts

COOKIE: Final = "sluice_console"
SIGN_IN: Final = f"{CONSOLE}/sign-in"
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TEMPLATES: Final = Path(__file__).parent / "templates"
_HTMX: Final = "hx-request"

log: Final = structlog.get_logger(__name__)

Page = Callable[[Request, Person], Awaitable[Response]]


class Site:
    """What the pages of the console share.

    Raises:
        KeysUnreadable: the file of keys is broken.
    """

    def __init__(self, parts: Parts) -> None:
        import jinja2

        self.parts = parts
        self.people = People(parts)
        self.assets = Assets()
        self._https = parts.settings.public_url.startswith("https://")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= words.FILTERS
        self._templates.globals |= {"console": CONSOLE, "asset": self.assets.address}

    def page(self, path: str, page: Page, *, methods: tuple[str, ...] = ("GET",)) -> Route:
        """Returns the route of a page below the console, for people who are signed in."""

        async def opened(request: Request) -> Response:
            person = self.person(request)
            return self._to_sign_in(request) if person is None else await page(request, person)

        return Route(path, opened, methods=list(methods))

    def person(self, request: Request) -> Person | None:
        """Returns who asks, or None if nobody is signed in."""
        return self.people.known(request.cookies.get(COOKIE, ""))

    def answer(
        self, template: str, person: Person | None, *, status: int = HTTPStatus.OK, **values: Any
    ) -> HTMLResponse:
        """Returns a page made of `template`."""
        now = datetime.now(UTC)
        text = self._templates.get_template(template).render(values | {"person": person, "now": now})
        return HTMLResponse(text, status_code=status)

    def keep(self, request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
        """Has the browser keep a cookie for so long, for this site alone and out of reach of scripts."""
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            path=CONSOLE,
            secure=self._https or request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def forget(self, answer: Response, name: str) -> None:
        """Has the browser forget a cookie."""
        answer.delete_cookie(name, path=CONSOLE, httponly=True, samesite="strict")

    def failed(self, request: Request, error: Exception) -> Response:
        """Returns the page that tells an error; what is ours or a neighbour's is logged."""
        told = _known(error)
        if told.status == SluiceError.status:
            log.error("console_page_broken", path=request.url.path, exc_info=error)
            told = SluiceError("Something went wrong here; the log of this process holds the reason.")
        elif not isinstance(told, CallerError):
            log.warning("console_page_failed", code=told.code, reason=told.message)
        answer = self.answer("error.html", self.person(request), status=told.status, error=told)
        wait = getattr(told, "retry_after_seconds", None)
        if wait is not None:
            answer.headers["Retry-After"] = str(wait)
        return answer

    def _to_sign_in(self, request: Request) -> Response:
        path = request.url.path
        if request.method not in ("GET", "HEAD"):
            target = SIGN_IN
        else:
            query = f"?{request.url.query}" if request.url.query else ""
            if request.headers.get("sec-fetch-site") == "cross-site" and COOKIE not in request.cookies:
                # A browser holds back the cookie when a link elsewhere (a chat, a mail) leads here, and sends
                # it when one of our own pages does: this one leads to the same place.
                return self.answer("detour.html", None, target=path + query)
            target = f"{SIGN_IN}?{urlencode({'next': path + query})}"
        if _HTMX in request.headers:
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": SIGN_IN})
        return RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)


class Guarded:
    """Adds to every answer what a browser must know, and makes a page of an error.

    A page may say something else itself: a report has a policy of its own.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            raise  # nobody is there to be told
        except Exception as error:
            if begun:
                raise
            await self._site.failed(Request(scope), error)(scope, receive, guarded)


def local(target: str) -> str:
    """Returns `target` if it is a page of the console, else its first page: nobody is led elsewhere."""
    path = target.partition("?")[0]
    plain = target.isascii() and target.isprintable() and not {"\\", " ", "#"} & set(target)
    if plain and path.startswith(f"{CONSOLE}/") and "//" not in path and ".." not in path:
        return target
    return f"{CONSOLE}/"


def seen(path: str, **query: str | int) -> RedirectResponse:
    """Returns the answer to a form that was taken: look at this page of the console."""
    return RedirectResponse(
        f"{CONSOLE}/{quote(path)}" + (f"?{urlencode(query)}" if query else ""),
        status_code=HTTPStatus.SEE_OTHER,
    )


def number_of(request: Request) -> int:
    """Returns the page of a list that is asked for; 1 if that is no number."""
    asked = request.query_params.get("page", "1")
    return max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1  # noqa: PLR2004


def _known(error: Exception) -> SluiceError:
    if isinstance(error, SluiceError):
        return error
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        return PathUnknown("The console has no such page.", next_step="Begin at its first one.")
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return PathUnknown("This page is asked in another way.", next_step="Begin at the first one.")
    return SluiceError("Not foreseen.")
