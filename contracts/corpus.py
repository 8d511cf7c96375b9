"""The columns of the normalised corpus on disk: training writes them, the feature repository reads them."""

from typing import Final

SHA256: Final = "sha256"
"""Hex SHA-256 of the raw bytes: the identity of a message, string [64]."""
RAW: Final = "raw"
"""The message as it came, binary."""
LABEL: Final = "label"
"""`spam` or `ham`, string (contracts.labels)."""
GROUP: Final = "group"
"""Where in the corpus the message stood (`hard-ham-1`, a folder, a file), string."""
DATE: Final = "date"
"""The Date header in UTC, or null where there is none to believe, timestamp[us, UTC]."""
SENDER: Final = "sender"
"""The From address in lower case, or empty, string."""
SENDER_DOMAIN: Final = "sender_domain"
"""The part of `sender` after the @, or empty, string."""

COLUMNS: Final = (SHA256, RAW, LABEL, GROUP, DATE, SENDER, SENDER_DOMAIN)
