"""Who is let in, who is not, and what they are told."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contracts import gateway as contract
from contracts.environments import Environment
from gateway.access.access import Access
from gateway.errors import AttemptsExceeded, KeyMissing, ScopeMissing
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.api_keys import key_format, keys_file
from kit.api_keys.keys import with_revoked, with_rotated
from kit.api_keys.keys_file import KeysUnreadable
from kit.errors import problem
from kit.home import Home
from tests.gateway.access.conftest import ADDRESS, Gate, OpenGate, bearer, made

PATIENCE_SECONDS = 60


def remove(path: Path) -> None:
    """Takes the file away."""
    path.unlink()


def put(path: Path, text: str) -> None:
    """Writes the file in place, as an editor does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


async def opens(gate: Gate, text: str) -> bool:
    """Tells whether the key is let in."""
    try:
        await gate.access.caller(bearer(text), ADDRESS)
    except (KeyMissing, AttemptsExceeded):
        return False
    return True


async def becomes(gate: Gate, text: str, *, open_: bool) -> None:
    """Waits until the key is let in, or is not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await opens(gate, text) is not open_:
        assert time.monotonic() < deadline, "the change was never seen"
        await asyncio.sleep(0.05)


async def refusal(gate: Gate, headers: dict[str, str]) -> KeyMissing:
    """Returns what is told to a request with these headers."""
    with pytest.raises(KeyMissing) as caught:
        await gate.access.caller(headers, ADDRESS)
    assert caught.value.status == 401
    return caught.value


async def test_either_header_holds_the_key(opened: OpenGate, keys: Path) -> None:
    """`Authorization: Bearer KEY`, `X-API-Key: KEY`, or both with the same key."""
    text = made(keys, environments=(Environment.STAGING,), models=("iris",))
    gate = await opened()
    for headers in (
        {"authorization": f"Bearer {text}"},
        {"authorization": f"bearer  {text} "},
        {"x-api-key": text},
        {"x-api-key": text, "authorization": f"Bearer {text}"},
        {"x-api-key": text, "authorization": "Basic dXNlcjpwYXNz"},
        {"x-api-key": text, "authorization": ""},
        {"x-api-key": "", "authorization": f"Bearer {text}"},
    ):
        caller = await gate.access.caller(headers, ADDRESS)
        assert (caller.name, caller.environments, caller.models, caller.admin) == (
            "shop",
            frozenset({Environment.STAGING}),
            frozenset({"iris"}),
            False,
        )
        assert caller.key_id == key_format.id_of(text)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"x-api-key": " "},
    ],
)
async def test_no_key_is_told_how_to_send_one(opened: OpenGate, keys: Path, headers: dict[str, str]) -> None:
    """It is no attempt either: a browser or a probe has no key."""
    made(keys)
    gate = await opened(attempts_per_minute=1)
    for _ in range(3):
        error = await refusal(gate, headers)
        assert "X-API-Key" in str(error.next_step)
    assert gate.refused("missing") == 3


async def test_another_scheme_alone_is_refused(opened: OpenGate, keys: Path) -> None:
    """Nobody takes a password for a key."""
    made(keys)
    gate = await opened()
    assert "Bearer" in (await refusal(gate, {"authorization": "Basic dXNlcjpwYXNz"})).message


async def test_two_different_keys_are_refused(opened: OpenGate, keys: Path) -> None:
    """Even if both are good: nobody guesses which one is meant."""
    gate = await opened()
    one, other = made(keys), made(keys, "other")
    await becomes(gate, other, open_=True)
    error = await refusal(gate, bearer(one) | {"x-api-key": other})
    assert "different keys" in error.message


@pytest.mark.parametrize(
    "text",
    ["x", "é" * 67, "sluice_" + "0" * 60, "a" * 1_000_000, "\x00", "KEY, KEY", "null",
     "sluice_0123456789_" + "a" * 49, "sluice_../../etc_" + "a" * 49,
     "sluice_" + "\u0660" * 10 + "_" + "a" * 49],
)  # fmt: skip
async def test_hostile_keys_are_unknown(opened: OpenGate, keys: Path, text: str) -> None:
    """Long, foreign, or like a key: the answer is the same, and shows nothing of what was sent."""
    made(keys)
    gate = await opened()
    error = await refusal(gate, {"x-api-key": text})
    assert error.message == "Nobody has this key."
    assert text not in json.dumps(problem(error)) or len(text) == 1
    assert gate.refused("unknown") == 1


async def test_a_right_id_with_a_wrong_secret_is_as_unknown_as_any(opened: OpenGate, keys: Path) -> None:
    """Nobody learns which ids there are."""
    text = made(keys)
    gate = await opened()
    known_id = key_format.id_of(text)
    assert known_id is not None
    near = await refusal(gate, bearer(key_format.new_key(known_id)))
    far = await refusal(gate, bearer(key_format.new_key(key_format.new_id())))
    assert (near.message, near.next_step) == (far.message, far.next_step)


async def test_every_key_is_compared_with_as_many_hashes(opened: OpenGate, keys: Path) -> None:
    """One that nobody has too: time tells neither which ids there are, nor which are being rotated."""
    made(keys, "rotated")
    made(keys, "other")
    for _ in range(2):
        keys_file.change(
            keys, lambda former: with_rotated(former, "rotated", timedelta(hours=1), datetime.now(UTC))
        )
    holders = (await opened()).access._holders
    assert [len(kept) for _, kept in holders._held.values()] == [3, 3]
    assert len(holders._dummy) == 3


async def test_a_revoked_or_expired_key_is_told_so(opened: OpenGate, keys: Path) -> None:
    """Who holds it should know what to ask for."""
    now = datetime.now(UTC)
    old = made(keys, "old", expires=now - timedelta(seconds=1))
    gone = made(keys, "gone")
    keys_file.change(keys, lambda former: with_revoked(former, "gone", now))
    gate = await opened(attempts_per_minute=1)
    for _ in range(3):
        assert "expired" in (await refusal(gate, bearer(old))).message
        assert "revoked" in (await refusal(gate, bearer(gone))).message
    assert (gate.refused("expired"), gate.refused("revoked"), gate.refused("attempts")) == (3, 3, 0)


async def test_a_key_expires_while_the_gateway_runs(opened: OpenGate, keys: Path) -> None:
    """Without any change of the file."""
    text = made(keys, expires=datetime.now(UTC) + timedelta(seconds=2))
    gate = await opened()
    await becomes(gate, text, open_=False)
    assert "expired" in (await refusal(gate, bearer(text))).message


async def test_a_running_gateway_takes_new_and_revoked_keys(opened: OpenGate, keys: Path) -> None:
    """Also when it began without a file."""
    gate = await opened()
    first = made(keys, "first")
    await becomes(gate, first, open_=True)
    second = made(keys, "second")
    await becomes(gate, second, open_=True)
    keys_file.change(keys, lambda former: with_revoked(former, "first", datetime.now(UTC)))
    await becomes(gate, first, open_=False)
    assert await opens(gate, second)


async def test_a_rotated_key_opens_with_both_secrets_until_its_grace_ends(
    opened: OpenGate, keys: Path
) -> None:
    """And with the new one only after that."""
    first = made(keys)
    gate = await opened()

    def rotated(grace: timedelta) -> str:
        return keys_file.change(keys, lambda former: with_rotated(former, "shop", grace, datetime.now(UTC)))[
            1
        ]

    second = rotated(timedelta(hours=1))
    await becomes(gate, second, open_=True)
    assert await opens(gate, first)
    third = rotated(timedelta(seconds=3))
    await becomes(gate, third, open_=True)
    await becomes(gate, first, open_=False)
    await becomes(gate, second, open_=False)
    assert await opens(gate, third)


async def test_a_broken_file_keeps_the_last_good_keys_and_is_logged_once(
    opened: OpenGate, keys: Path
) -> None:
    """However often it is looked at; the next good file counts again."""
    text = made(keys)
    gate = await opened()
    with capture_logs() as logs:
        put(keys, '{"version": 1, "keys": [{"id": "hunter2"}]}')

        def told() -> list[str]:
            return [entry["event"] for entry in logs if entry["log_level"] == "error"]

        deadline = time.monotonic() + PATIENCE_SECONDS
        while not told():
            assert await opens(gate, text)
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        gate.access._holders._check_at = 0
        assert await opens(gate, text)
        assert told() == ["keys_not_read"]
        assert "hunter2" not in json.dumps(logs)
        remove(keys)
        fresh = made(keys, "fresh")
        await becomes(gate, fresh, open_=True)
        assert not await opens(gate, text)


async def test_a_file_that_vanishes_keeps_the_last_good_keys(opened: OpenGate, keys: Path) -> None:
    """A volume that is mounted anew must not lock everybody out."""
    text = made(keys)
    gate = await opened()
    with capture_logs() as logs:
        remove(keys)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "keys_file_gone" not in [entry["event"] for entry in logs]:
            assert await opens(gate, text)
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    assert await opens(gate, text)


async def test_a_mounted_secret_is_followed_to_its_next_version(opened: OpenGate, tmp_path: Path) -> None:
    """Kubernetes moves a link to another folder; the file at the end of the links is never written."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    texts = [made(mounted / f"..{number}" / "keys.json", f"number {number}") for number in range(2)]
    (mounted / "..data").symlink_to("..0")
    (mounted / "keys.json").symlink_to("..data/keys.json")
    gate = await opened(keys_file=mounted / "keys.json")
    assert await opens(gate, texts[0])
    (mounted / "..next").symlink_to("..1")
    (mounted / "..next").rename(mounted / "..data")
    await becomes(gate, texts[1], open_=True)
    assert not await opens(gate, texts[0])


async def test_a_broken_file_at_the_start_is_an_error(opened: OpenGate, keys: Path) -> None:
    """There is no last good one, and to start without keys would lock everybody out without a word."""
    put(keys, "{")
    with pytest.raises(KeysUnreadable, match="Invalid JSON"):
        await opened()


async def test_without_a_key_the_gateway_starts_and_says_what_to_do(opened: OpenGate, keys: Path) -> None:
    """Revoked keys count as none."""
    made(keys)
    keys_file.change(keys, lambda former: with_revoked(former, "shop", datetime.now(UTC)))
    with capture_logs() as logs:
        gate = await opened()
    warned = [entry for entry in logs if entry["event"] == "no_keys"]
    assert len(warned) == 1
    assert "sluice keys create" in warned[0]["next_step"]
    await refusal(gate, bearer(key_format.new_key(key_format.new_id())))


async def test_where_no_key_is_needed_none_opens_everything_but_admin_pages(opened: OpenGate) -> None:
    """A wrong one is refused even so: who sends it believes something that is not true."""
    gate = await opened(authentication=False)
    everybody = await gate.access.caller({}, ADDRESS)
    gate.access.permit(everybody, environment=Environment.PRODUCTION, model="iris")
    with pytest.raises(ScopeMissing):
        gate.access.permit(everybody, admin=True)
    await refusal(gate, {"x-api-key": "wrong"})


async def test_scopes(opened: OpenGate, keys: Path) -> None:
    """Each refusal is a 403 that says what the key is for, and is counted."""
    text = made(keys, environments=(Environment.STAGING,), models=("iris",))
    gate = await opened()
    caller = await gate.access.caller(bearer(text), ADDRESS)
    gate.access.permit(caller)
    gate.access.permit(caller, environment=Environment.STAGING, model="iris")
    with pytest.raises(ScopeMissing, match=r"production.*it is for staging") as refused:
        gate.access.permit(caller, environment=Environment.PRODUCTION, model="iris")
    assert refused.value.status == 403
    with pytest.raises(ScopeMissing, match="it is for iris"):
        gate.access.permit(caller, environment=Environment.STAGING, model="spam")
    with pytest.raises(ScopeMissing, match="admins"):
        gate.access.permit(caller, admin=True)
    assert gate.refused("scope") == 3


async def test_an_admin_key_without_an_environment_asks_no_model(opened: OpenGate, keys: Path) -> None:
    """Pages of admins are one thing, predictions another."""
    text = made(keys, environments=(), admin=True)
    gate = await opened()
    caller = await gate.access.caller(bearer(text), ADDRESS)
    gate.access.permit(caller, admin=True)
    for environment in Environment:
        with pytest.raises(ScopeMissing):
            gate.access.permit(caller, environment=environment)


async def test_too_many_wrong_keys_are_told_to_come_back_and_a_right_one_is_let_in(
    opened: OpenGate, keys: Path
) -> None:
    """Many share an address: a neighbour's wrong key locks nobody out."""
    text = made(keys)
    gate = await opened(attempts_per_minute=3)
    for _ in range(3):
        await refusal(gate, {"x-api-key": "wrong"})
    with pytest.raises(AttemptsExceeded) as caught:
        await gate.access.caller({"x-api-key": "wrong"}, ADDRESS)
    assert caught.value.status == 429
    assert 0 < caught.value.retry_after_seconds <= 60
    assert await opens(gate, text)
    with pytest.raises(AttemptsExceeded):
        await gate.access.caller({"x-api-key": "wrong"}, ADDRESS)
    with pytest.raises(KeyMissing):
        await gate.access.caller({"x-api-key": "wrong"}, "192.0.2.8")
    assert (gate.refused("unknown"), gate.refused("attempts")) == (4, 2)


async def test_the_development_key_opens_everything_and_is_kept(opened: OpenGate, home: Home) -> None:
    """Private, made once, the same for every gateway of the machine."""
    plain = contract.development_key_file(home.root)
    with capture_logs() as logs:
        gate = await opened(development=True)
    text = plain.read_text(encoding="utf-8").strip()
    assert plain.stat().st_mode & 0o777 == 0o600
    assert text not in json.dumps(logs)
    caller = await gate.access.caller(bearer(text), ADDRESS)
    assert caller.name == "development"
    for environment in Environment:
        gate.access.permit(caller, environment=environment, model="any", admin=True)
    plain.chmod(0o644)
    await opened(development=True)
    assert plain.read_text(encoding="utf-8").strip() == text
    assert plain.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["gone", "wrong", "binary", "forgotten", "revoked"])
async def test_a_development_key_that_does_not_open_is_replaced(
    opened: OpenGate, home: Home, keys: Path, damage: str
) -> None:
    """Whatever became of the file or of its hash; other keys stay."""
    other = made(keys, "other")
    await opened(development=True)
    plain = contract.development_key_file(home.root)
    former = plain.read_text(encoding="utf-8").strip()
    match damage:
        case "gone":
            plain.unlink()
        case "wrong":
            plain.write_text(key_format.new_key("0123456789"), encoding="utf-8")
        case "binary":
            plain.write_bytes(os.urandom(64) + b"\xff")
        case "forgotten":
            remove(keys)
            other = made(keys, "other")
        case "revoked":
            keys_file.change(keys, lambda kept: with_revoked(kept, "development", datetime.now(UTC)))
    gate = await opened(development=True)
    fresh = plain.read_text(encoding="utf-8").strip()
    assert fresh != former
    assert [await opens(gate, each) for each in (fresh, former, other)] == [True, False, True]


async def test_many_gateways_of_one_machine_agree_on_the_development_key(home: Home) -> None:
    """They start at once; one makes it."""
    gates = [Access(GatewaySettings.load(development=True), Measures(), home) for _ in range(4)]
    await asyncio.gather(*(gate.start() for gate in gates))
    text = contract.development_key_file(home.root).read_text(encoding="utf-8").strip()
    callers = [await gate.caller(bearer(text), ADDRESS) for gate in gates]
    assert len({caller.key_id for caller in callers}) == 1
    for gate in gates:
        await gate.close()


async def test_nothing_shows_a_key(opened: OpenGate, keys: Path) -> None:
    """Neither log, nor error, nor `repr` of anything that was made on the way."""
    text = made(keys)
    wrong = key_format.new_key(str(key_format.id_of(text)))
    with capture_logs() as logs:
        gate = await opened(attempts_per_minute=1)
        caller = await gate.access.caller(bearer(text), ADDRESS)
        error = await refusal(gate, bearer(wrong))
        with pytest.raises(AttemptsExceeded) as exceeded:
            await gate.access.caller(bearer(wrong), ADDRESS)
        holder = gate.access._holders.of(text)
    kept = keys_file.read(keys)
    assert kept is not None
    shown = " ".join(
        (
            json.dumps(logs),
            repr(caller),
            repr(holder),
            repr(gate.access),
            json.dumps(problem(error)),
            json.dumps(problem(exceeded.value)),
            kept.model_dump_json(),
            repr(kept),
        )
    )
    for secret in (text.split("_")[2], wrong.split("_")[2]):
        assert secret not in shown
