"""`sluice keys`: make, show, revoke, rotate and check the keys of the gateway."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.environments import Environment

if TYPE_CHECKING:
    from kit.api_keys.keys import Key

keys = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Which = Annotated[str, typer.Argument(metavar="KEY", help="Its name or its id.")]


@keys.callback()
def root() -> None:
    """Make, show, revoke, rotate and check the keys that open the gateway.

    They stand as salted hashes in the file that GATEWAY_KEYS_FILE names, or under SLUICE_HOME. A running
    gateway that reads the same file takes a change within a second.
    """


@keys.command(
    epilog="Examples: sluice keys create shop --environment production --expires 90d · "
    "sluice keys create ci --environment staging --model iris · sluice keys create ops --admin"
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; it stands in logs and feedback.")],
    environment: Annotated[
        list[Environment] | None, typer.Option("--environment", help="Where it may ask; repeat it for both.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="Only this model; may be repeated. All unless given."),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Also for pages of admins.")] = False,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="WHEN", help="Its last day, as 2027-01-31, or how long: 90d, 12h."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once: it cannot be shown again.

    The key goes to standard output and everything else to standard error, so that
    `sluice keys create shop --environment staging > shop.key` keeps the key and nothing more.
    """
    from gateway.access.durations import end
    from kit.api_keys import keys_file
    from kit.api_keys.keys import with_created

    now = datetime.now(UTC)
    until = None if expires is None else end(expires, now)
    path = _path()
    key, text = keys_file.change(
        path,
        lambda former: with_created(
            former,
            name=name,
            now=now,
            environments=tuple(environment or ()),
            models=tuple(model) if model else None,
            admin=admin,
            expires=until,
        ),
    )
    _show_once(key, text, path, now, as_json=as_json)


@keys.command(name="list", epilog="Example: sluice keys list --json")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys: for whom, for what, until when. The keys themselves are not known to anybody here."""
    from kit.api_keys import keys_file
    from kit.terminal import print_json, print_table, say

    now = datetime.now(UTC)
    path = _path()
    found = keys_file.read(path)
    listed = found.keys if found else ()
    if as_json:
        print_json([_told(key, now) for key in listed])
        return
    if not listed:
        say(f"There are no keys in {path}. Make one with `sluice keys create NAME`.")
        return
    rows = [
        (key.name, key.id, key.state(now), _scopes(key), _day(key.revoked or key.expires)) for key in listed
    ]
    print_table(f"Keys in {path}", ("name", "id", "state", "for", "until"), rows)


@keys.command(epilog="Example: sluice keys revoke shop")
def revoke(which: Which, as_json: AsJson = False) -> None:
    """End a key, with all its secrets. It stays in the list, and opens nothing any more."""
    from kit.api_keys import keys_file
    from kit.api_keys.keys import with_revoked
    from kit.terminal import print_json, say

    now = datetime.now(UTC)
    key = keys_file.change(_path(), lambda former: with_revoked(former, which, now))
    if as_json:
        print_json(_told(key, now))
    else:
        say(f"The key {key.name} ({key.id}) is revoked.")


@keys.command(epilog="Examples: sluice keys rotate shop · sluice keys rotate shop --grace 0")
def rotate(
    which: Which,
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="How long the former one opens still: 30m, 24h, 0.")
    ] = "24h",
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it, once. Id, name, scopes and end stay as they are."""
    from gateway.access.durations import duration
    from kit.api_keys import keys_file
    from kit.api_keys.keys import with_rotated

    now = datetime.now(UTC)
    left = duration(grace)
    path = _path()
    key, text = keys_file.change(path, lambda former: with_rotated(former, which, left, now))
    _show_once(key, text, path, now, as_json=as_json)


@keys.command(epilog="Examples: sluice keys check < shop.key · sluice keys check --json < shop.key")
def check(as_json: AsJson = False) -> None:
    """Tell whose key it is and what it opens; the key is read from standard input, or asked for unseen.

    It is no argument, since arguments stay in the shell's history and are seen by every user of the machine.
    """
    from kit.api_keys import keys_file
    from kit.api_keys.keys import Keys, checked
    from kit.terminal import print_json, say

    if sys.stdin.isatty():
        text = typer.prompt("Key", hide_input=True, err=True)
    else:
        text = sys.stdin.buffer.read(1024).decode("utf-8", errors="replace")
    now = datetime.now(UTC)
    key = checked(keys_file.read(_path()) or Keys(), text.strip(), now)
    if as_json:
        print_json(_told(key, now))
        return
    say(f"The key {key.name} ({key.id}) is good for {_scopes(key)}{_until(key)}.")


def _path() -> Path:
    from contracts import gateway as contract
    from gateway.settings import GatewaySettings
    from kit.home import home

    return GatewaySettings.load().keys_file or contract.keys_file(home().root)


def _show_once(key: "Key", text: str, path: Path, now: datetime, *, as_json: bool) -> None:
    from kit.terminal import print_json, say

    if as_json:
        print_json(_told(key, now) | {"key": text})
    else:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    say(f"The key {key.name} ({key.id}) is for {_scopes(key)}{_until(key)}.")
    say("Keep it now: it cannot be shown again.")
    for former in key.secrets[1:]:
        say(f"What it had before opens until {_moment(former.until)}.")
    say(f"Its hash is in {path}.")


def _scopes(key: "Key") -> str:
    models = "all models" if key.models is None else " and ".join(key.models)
    told = [f"{models} in {' and '.join(key.environments)}"] if key.environments else []
    return ", ".join([*told, *(["pages of admins"] if key.admin else [])])


def _until(key: "Key") -> str:
    return f", until {_moment(key.expires)}" if key.expires else ""


def _told(key: "Key", now: datetime) -> dict[str, Any]:
    former = [secret.until for secret in key.secrets if secret.until is not None and secret.until > now]
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(now),
        "environments": [str(each) for each in key.environments],
        "models": None if key.models is None else list(key.models),
        "admin": key.admin,
        "created": _moment(key.created),
        "expires": _moment(key.expires),
        "revoked": _moment(key.revoked),
        "former_until": _moment(max(former)) if former else None,
    }


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d}"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
