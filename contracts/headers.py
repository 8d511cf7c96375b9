"""HTTP headers that more than one process of serving reads or writes."""

from typing import Final

MODEL_VERSION: Final = "X-Model-Version"
"""In every answer of a model: the version that gave it."""
REQUEST_ID: Final = "X-Request-Id"
"""A caller's own name for a request; it comes back with the answer."""
API_KEY: Final = "X-API-Key"
"""A client's key; `Authorization: Bearer KEY` says the same."""
TRACEPARENT: Final = "traceparent"
"""Where a request stands in a distributed trace (W3C Trace Context); passed on as it came, or made."""
TIMEOUT_MS: Final = "X-Request-Timeout-Ms"
"""How many milliseconds the caller will wait from now; each process passes on what is left."""
INFERENCE_HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""Bytes of JSON before the binary tensors (the Open Inference Protocol's binary tensor extension)."""
