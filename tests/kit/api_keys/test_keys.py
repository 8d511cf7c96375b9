"""What a key looks like, and what creating, revoking and rotating make of the document."""

import re
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.environments import Environment
from kit.api_keys import key_format
from kit.api_keys.keys import (
    Key,
    KeyMissing,
    Keys,
    KeyUnknown,
    checked,
    digest,
    found,
    opens,
    with_created,
    with_revoked,
    with_rotated,
)
from kit.errors import UsageError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STAGING = (Environment.STAGING,)


def one(name: str = "shop", *, expires: datetime | None = None) -> tuple[Keys, Key, str]:
    """A document with one key for staging."""
    keys, (key, text) = with_created(Keys(), name=name, now=NOW, environments=STAGING, expires=expires)
    return keys, key, text


def test_a_key_can_be_recognised_and_holds_256_random_bits() -> None:
    """A scanner finds it by its prefix, and tells it from noise by its checksum."""
    text = key_format.new_key(key_format.new_id())
    assert re.fullmatch(r"sluice_[0-9a-z]{10}_[0-9A-Za-z]{49}", text)
    assert 62**key_format.SECRET_LENGTH >= 2**256
    assert key_format.is_whole(text)
    assert len({key_format.new_key("0123456789") for _ in range(100)}) == 100


@given(st.integers(min_value=18, max_value=66), st.sampled_from(string.ascii_letters + string.digits))
def test_one_wrong_character_breaks_the_checksum(position: int, wrong: str) -> None:
    """A CRC sees every error within 32 bits."""
    text = "sluice_0123456789_" + "Z" * 43
    text += key_format._checksum(text)
    mistyped = text[:position] + wrong + text[position + 1 :]
    assert key_format.is_whole(mistyped) == (mistyped == text)


@pytest.mark.parametrize(
    "text",
    ["", "sluice_", "sluice__", "sluice_0123456789_", "Sluice_0123456789_" + "a" * 49, "a" * 100_000,
     "sluice_0123456789_" + "a" * 50, "sluice_0123456789_" + "a" * 48 + "\n", "sluice_012345678é_" + "a" * 49,
     "sluice_0123456789_" + "٣" * 49, "sluice_0123456789_" + "a" * 49 + "\x00"],
)  # fmt: skip
def test_what_has_not_the_form_is_no_key(text: str) -> None:
    """However long, foreign or empty it is."""
    assert key_format.id_of(text) is None
    assert not key_format.is_whole(text)


def test_a_created_key_opens_and_its_text_is_nowhere_in_the_document() -> None:
    """Only a salted hash is kept, and `repr` shows not even that."""
    keys, key, text = one()
    assert opens(key, text, NOW)
    assert not opens(key, key_format.new_key(key.id), NOW)
    secret = text.split("_")[2]
    assert secret not in keys.model_dump_json()
    assert secret not in repr(keys)
    assert key.secrets[0].hash not in repr(keys)
    assert checked(keys, text, NOW) == key


def test_the_same_text_under_another_salt_is_another_hash() -> None:
    """Two files tell nobody that they hold the same key."""
    text = key_format.new_key("0123456789")
    assert digest(b"0" * 16, text) != digest(b"1" * 16, text)


def test_a_name_in_use_is_refused_and_a_revoked_one_is_free() -> None:
    """Names say whose a key is, so two in use would lie."""
    keys, key, _ = one()
    with pytest.raises(UsageError, match="already"):
        with_created(keys, name="shop", now=NOW, environments=STAGING)
    keys, _ = with_revoked(keys, "shop", NOW)
    keys, (other, _) = with_created(keys, name="shop", now=NOW, environments=STAGING)
    assert other.id != key.id
    assert found(keys, "shop") == other
    assert found(keys, key.id).revoked == NOW


@pytest.mark.parametrize("name", ["", " ", "a\nb", "ä", "a" * 65, "-a", "a/b", "a\x00", "<b>", "a\n"])
def test_a_name_that_could_harm_a_log_or_a_table_is_refused(name: str) -> None:
    """It goes into log lines, tables and the column `submitted_by`."""
    with pytest.raises(UsageError, match="name of a key"):
        with_created(Keys(), name=name, now=NOW, environments=STAGING)


@pytest.mark.parametrize("model", ["", "Iris", "a/b", "../x", "a" * 64, "iris\n"])
def test_a_model_that_cannot_be_one_is_refused(model: str) -> None:
    """A limit to a model that is none would open nothing, and say so to nobody."""
    with pytest.raises(UsageError, match="name of a model"):
        with_created(Keys(), name="shop", now=NOW, environments=STAGING, models=(model,))


def test_a_key_for_nothing_is_refused() -> None:
    """Neither an environment nor pages of admins."""
    with pytest.raises(UsageError, match="for nothing"):
        with_created(Keys(), name="shop", now=NOW, environments=())


def test_a_revoked_key_opens_nothing_and_stays_revoked() -> None:
    """Twice is as once, and the first time is kept."""
    keys, key, text = one()
    keys, revoked = with_revoked(keys, key.id, NOW)
    assert revoked.state(NOW) == "revoked"
    assert with_revoked(keys, key.id, NOW + DAY)[1].revoked == NOW
    with pytest.raises(KeyMissing, match="revoked"):
        checked(keys, text, NOW)


def test_a_rotated_key_opens_with_both_secrets_for_its_grace() -> None:
    """Id, name, scopes and expiry stay; the former secret ends with the grace."""
    keys, key, text = one(expires=NOW + 30 * DAY)
    keys, (rotated, fresh) = with_rotated(keys, "shop", DAY, NOW)
    assert rotated.model_copy(update={"secrets": key.secrets}) == key
    assert fresh != text
    assert key_format.id_of(fresh) == key.id
    just_before = NOW + DAY - timedelta(microseconds=1)
    assert [opens(rotated, each, just_before) for each in (text, fresh)] == [True, True]
    assert [opens(rotated, each, NOW + DAY) for each in (text, fresh)] == [False, True]
    assert len(keys.keys) == 1


def test_rotating_again_prolongs_no_former_secret() -> None:
    """A shorter grace shortens theirs too, and what is over is dropped from the document."""
    keys, _, first = one()
    keys, (_, second) = with_rotated(keys, "shop", DAY, NOW)
    keys, (key, third) = with_rotated(keys, "shop", 7 * DAY, NOW + DAY / 2)
    assert [opens(key, each, NOW + DAY) for each in (first, second, third)] == [False, True, True]
    _, (key, _) = with_rotated(keys, "shop", DAY, NOW + 2 * DAY)
    assert [secret.until for secret in key.secrets] == [None, NOW + 3 * DAY, NOW + 3 * DAY]


def test_without_grace_only_the_new_secret_opens() -> None:
    """All former ones end, those of an earlier grace too."""
    keys, _, first = one()
    keys, (_, second) = with_rotated(keys, "shop", DAY, NOW)
    _, (key, third) = with_rotated(keys, "shop", timedelta(), NOW)
    assert [opens(key, each, NOW) for each in (first, second, third)] == [False, False, True]
    assert len(key.secrets) == 1


def test_what_is_revoked_or_expired_is_not_rotated() -> None:
    """A new secret would open nothing."""
    keys, _, text = one(expires=NOW + DAY)
    with pytest.raises(KeyUnknown, match="expired"):
        with_rotated(keys, "shop", DAY, NOW + DAY)
    with pytest.raises(KeyMissing, match="expired"):
        checked(keys, text, NOW + DAY)
    keys, _ = with_revoked(keys, "shop", NOW)
    with pytest.raises(KeyUnknown, match="revoked"):
        with_rotated(keys, "shop", DAY, NOW)


def test_an_unknown_name_is_told_where_to_look() -> None:
    """`sluice keys list`."""
    with pytest.raises(KeyUnknown) as caught:
        found(Keys(), "nobody")
    assert "sluice keys list" in str(caught.value.next_step)
