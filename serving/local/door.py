"""The gateway of this machine as people and commands find it: address, key, and a request to paste."""

import json
import shlex
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

from contracts.environments import Environment
from contracts.gateway import DOCS, PREDICT, READY, development_key_file
from contracts.headers import API_KEY
from kit.home import Home
from serving.local import probes, programs, state
from serving.local.state import LOOPBACK

_EXAMPLE: Final = {
    "raw": "From: Ada Miller <ada@club.example>\nSubject: Minutes of Tuesday's meeting\n\n"
    "Hi Ben, thanks for taking notes on Tuesday. I think one point is missing: the patch for the parser "
    "should wait until the tests run on both branches. Could you add it?\n\nAda"
}
_PROBE_SECONDS: Final = 3
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Door:
    """Where the gateway answers, and how it is asked."""

    url: str
    docs: str
    key: str | None
    """The development key; None until the gateway has made one."""

    @property
    def example(self) -> str | None:
        """A command to paste; None without a key."""
        if self.key is None:
            return None
        body = shlex.quote(json.dumps(_EXAMPLE))
        heads = f"-H '{API_KEY}: {self.key}' -H 'Content-Type: application/json'"
        return f"curl -s {self.url}{PREDICT} {heads} -d {body}"

    def as_json(self) -> dict[str, Any]:
        """Returns it as plain data, the key and the example with it."""
        return asdict(self) | {"example": self.example}


@dataclass(frozen=True)
class Readiness:
    """What the gateway says of itself."""

    environments: dict[str, bool]
    """Whether requests for it would be answered, by environment."""
    reason: str | None
    """Why not, or what is amiss although they would be."""


def door(home: Home) -> Door | None:
    """Returns the gateway of this machine as it was started last, running or not; None if it never was."""
    port = state.read(home.serving).ports.get(programs.GATEWAY, {}).get("http")
    if port is None:
        return None
    url = f"http://{LOOPBACK}:{port}"
    return Door(url, url + DOCS, _key(home))


def readiness(url: str) -> Readiness | None:
    """Returns what the gateway at `url` says of itself; None if it does not answer."""
    answer = probes.answer(url + READY, _PROBE_SECONDS)
    try:
        told = answer.json() if answer is not None else None
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("environments"), dict):
        return None
    reason = told.get("detail") or " ".join(told.get("degraded") or ()) or None
    return Readiness({name: bool(ready) for name, ready in told["environments"].items()}, reason)


def unanswered(url: str, environments: Collection[Environment], seconds: float) -> list[Environment]:
    """Returns those of `environments` for which the gateway does not answer within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = readiness(url)
        missing = [
            environment
            for environment in environments
            if found is None or not found.environments.get(environment)
        ]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(_POLL_SECONDS)


def _key(home: Home) -> str | None:
    try:
        return development_key_file(home.root).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
