"""Signing in by a key, and out again."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kit.errors import CallerError
from monitoring.console import forms
from monitoring.console.people import SIGN_IN_SECONDS, Person
from monitoring.console.site import COOKIE, SIGN_IN, Site, local
from monitoring.errors import SignInRefused, SignInsExceeded

_FORM_COOKIE: Final = "sluice_sign_in"
_KEY_LENGTH: Final = 200


def routes(site: Site) -> list[Route]:
    """Returns the routes of both."""

    def form(request: Request, target: str, error: CallerError | None = None) -> Response:
        token = site.people.form()
        status = error.status if error else HTTPStatus.OK
        answer = site.answer("sign_in.html", None, status=status, target=target, token=token, error=error)
        site.keep(request, answer, _FORM_COOKIE, token, SIGN_IN_SECONDS)
        if isinstance(error, SignInsExceeded):
            answer.headers["Retry-After"] = str(error.retry_after_seconds)
        return answer

    async def asked(request: Request) -> Response:
        target = local(request.query_params.get("next", ""))
        if site.person(request) is not None:
            return RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)
        return form(request, target)

    async def sent(request: Request) -> Response:
        fields = await forms.fields(request)
        target = local(fields.get("next", ""))
        try:
            site.people.require_form(request.cookies.get(_FORM_COOKIE, ""), fields.get(forms.TOKEN, ""))
            address = request.client.host if request.client else ""
            cookie = site.people.sign_in(fields.get("key", "").strip()[:_KEY_LENGTH], address)
        except (SignInRefused, SignInsExceeded) as error:
            return form(request, target, error)
        answer = RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)
        site.keep(request, answer, COOKIE, cookie, site.people.lasts_seconds)
        site.forget(answer, _FORM_COOKIE)
        return answer

    async def out(request: Request, person: Person) -> Response:
        await forms.signed_fields(request, person)
        site.people.sign_out(person)
        answer = RedirectResponse(SIGN_IN, status_code=HTTPStatus.SEE_OTHER)
        site.forget(answer, COOKIE)
        return answer

    return [
        Route("/sign-in", asked, methods=["GET"]),
        Route("/sign-in", sent, methods=["POST"]),
        site.page("/sign-out", out, methods=("POST",)),
    ]
