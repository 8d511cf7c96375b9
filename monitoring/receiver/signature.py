"""Is a message from whom we share a secret with, and of now? Standard Webhooks, by its own package.

The package signs, and the comparison is ours: its `verify` knows one tolerance only, reads the clock itself,
and breaks off with its own errors at a malformed signature.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from monitoring.errors import HookClosed, HookMalformed, HookStale, HookUnsigned
from records.repositories.receipts import ID_LENGTH

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

_ID: Final = re.compile(rf"[!-~]{{1,{ID_LENGTH}}}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_SIGNATURES: Final = 16
"""Signatures of one message that are looked at; a sender that rotates its secret sends two."""


def verified(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[SecretStr],
    *,
    tolerance: timedelta,
    now: datetime,
) -> str:
    """Returns the id of the message that `body` is.

    Raises:
        HookClosed: there is no secret.
        HookUnsigned: a header is missing, or no signature is by one of the secrets.
        HookStale: it was signed longer than `tolerance` ago, or for as long a time to come.
        HookMalformed: it is signed, and no text.
    """
    if not secrets:
        raise HookClosed(
            "This hook accepts nothing, as it has no secret.",
            next_step="Set MONITORING_HOOK_SECRETS here, and the same secret where messages are sent.",
        )
    message, stamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not (_ID.fullmatch(message) and _SECONDS.fullmatch(stamp)):
        raise HookUnsigned(
            f"The headers {ID} and {TIMESTAMP} of Standard Webhooks are missing or malformed.",
            next_step="Send what a channel of the format webhook sends: docs/webhooks.md.",
        )
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise HookMalformed("The body is not UTF-8.") from exc
    at = datetime.fromtimestamp(int(stamp), UTC)
    given = [value.encode() for value in headers.get(SIGNATURE, "").split(" ")[:_SIGNATURES]]
    ours = [Webhook(secret.get_secret_value()).sign(message, at, text).encode() for secret in secrets]
    # Every pair is compared, so that the time taken tells nothing.
    if not any([hmac.compare_digest(one, other) for one in ours for other in given]):  # noqa: C419
        raise HookUnsigned(
            "No signature of this message is by a secret of this hook.",
            next_step="Compare the channel's secret with MONITORING_HOOK_SECRETS.",
        )
    if abs(now - at) > tolerance:
        raise HookStale(
            f"The message was signed for {at:%Y-%m-%d %H:%M:%S} UTC, and it is {now:%Y-%m-%d %H:%M:%S} UTC.",
            next_step="Sign each attempt anew, and set the clocks; MONITORING_HOOK_TOLERANCE is the bound.",
        )
    return message
