"""`sluice feedback`: tell the gateway what a message really was."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from contracts.labels import Label
from kit.errors import CallerError, OperationalError

if TYPE_CHECKING:
    import httpx

_SECONDS: Final = 10.0
_SERVER_ERROR: Final = 500


class FeedbackRefused(CallerError):
    """The gateway answers, and does not take the feedback."""

    code = "feedback_refused"
    title = "The gateway does not take this"


class GatewayUnreachable(OperationalError):
    """Nothing answers where the gateway should, or something else does."""

    code = "gateway_unreachable"
    title = "The gateway does not answer"


def feedback(
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="The request id that came with the answer.")
    ],
    label: Annotated[Label, typer.Argument(help="What the message really was.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="An API key; SLUICE_API_KEY and SLUICE_API_KEY_FILE do not show it to other users of the "
            "machine. Unset means the development key.",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Of the gateway; the one on this machine.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Tell the gateway what a message really was.

    It counts for the live figures of the model, and for the history of the sender from the next day on. The
    same feedback again changes nothing, and another one corrects it.

    Examples: `sluice feedback 0192f3c4 spam` · `sluice feedback 0192f3c4 ham --json`
    """
    from contracts.gateway import FEEDBACK
    from kit.home import HomeSettings
    from kit.terminal import print_json, say

    machine = HomeSettings.load()
    address = (url or _started(machine.home) or _local()).rstrip("/")
    secret = key or (machine.api_key and machine.api_key.get_secret_value()) or _development_key(machine.home)
    told = _posted(f"{address}{FEEDBACK}", {"request_id": request_id, "label": label.value}, secret)
    if as_json:
        print_json(told)
        return
    words = {"created": "Noted", "changed": "Corrected", "unchanged": "Known already"}
    say(f"{words.get(str(told.get('outcome')), 'Noted')}: {request_id} was {label.value}.")


def _started(root: Any) -> str | None:
    """Returns the URL of the gateway that `sluice up` started; None without one."""
    from contracts.gateway import address_file
    from kit.home import Home

    try:
        return address_file(Home(root).root).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _local() -> str:
    from gateway.settings import GatewaySettings

    settings = GatewaySettings.load()
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _development_key(root: Any) -> str | None:
    from contracts.gateway import development_key_file
    from kit.home import Home

    try:
        return development_key_file(Home(root).root).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FeedbackRefused(
            "The development key of this machine cannot be read.", next_step="Give another one: --key KEY"
        ) from error


def _posted(address: str, document: dict[str, str], secret: str | None) -> dict[str, Any]:
    import httpx

    from contracts.headers import API_KEY

    headers = {} if secret is None else {API_KEY: secret}
    try:
        # A proxy of the shell is for other places than this machine.
        answer = httpx.post(address, json=document, headers=headers, timeout=_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise GatewayUnreachable(
            f"No gateway answers at {address} ({type(error).__name__}).",
            next_step="Start what serves on this machine: sluice up. Another place is named by --url.",
        ) from error
    told = _document(answer)
    if answer.is_success and told:
        return told
    message = str(told.get("detail") or f"What answers at {address} said HTTP {answer.status_code}.")
    message = " ".join(
        [message, *(f"{fault['field']}: {fault['reason']}." for fault in told.get("errors", []))]
    )
    if answer.status_code >= _SERVER_ERROR or not told:
        raise GatewayUnreachable(message, next_step=told.get("next_step") or "See why: sluice status")
    raise FeedbackRefused(message, next_step=told.get("next_step"))


def _document(answer: "httpx.Response") -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
