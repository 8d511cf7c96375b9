"""Examples of requests and answers, as the OpenAPI document shows them; tests send the requests."""

from typing import Any, Final

RAW_MESSAGE: Final = (
    "From: Prize Office <office@prizes.example>\r\n"
    "To: Ann <ann@example.org>\r\n"
    "Subject: You are a winner\r\n"
    "\r\n"
    "Claim your free prize now: http://prizes.example/claim\r\n"
)
RAW: Final = {"raw": RAW_MESSAGE}
STRUCTURED: Final[dict[str, Any]] = {
    "subject": "Agenda of Tuesday's meeting",
    "from": "Ann <ann@example.org>",
    "to": ["Bob <bob@example.org>"],
    "body": "Hello Bob, the agenda is attached. Thanks, Ann",
    "attachments": 1,
    "headers": {"List-Id": "<staff.example.org>"},
}
EMAILS: Final = {
    "raw": {"summary": "An e-mail as it came", "value": RAW},
    "structured": {"summary": "An e-mail in fields", "value": STRUCTURED},
}
BATCH: Final = {"two": {"summary": "One raw, one in fields", "value": {"emails": [RAW, STRUCTURED]}}}
FEEDBACK: Final = {
    "spam": {
        "summary": "It was spam",
        "value": {"request_id": "0f6c2f4a6a5a4c9bb0a4e4c3a1d2e3f4", "label": "spam"},
    }
}
INFERENCE: Final = {
    "email": {
        "summary": "An e-mail to spam-detector",
        "value": {
            "inputs": [{"name": "email", "datatype": "BYTES", "shape": [1], "data": [RAW_MESSAGE]}],
            "outputs": [{"name": "verdict"}, {"name": "probability"}],
        },
    }
}
VERDICT: Final[dict[str, Any]] = {
    "request_id": "0f6c2f4a6a5a4c9bb0a4e4c3a1d2e3f4",
    "verdict": "spam",
    "probability": 0.9731,
    "threshold": 0.42,
    "environment": "staging",
    "model": "spam-detector",
    "version": "7",
    "latency_ms": 2.613,
}
