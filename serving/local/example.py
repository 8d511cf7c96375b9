"""A request that a person can paste: curl, made of what the server says of its own tensors."""

import json
import math
import shlex
from typing import Any, Final

from serving.local import probes

_TEXT: Final = "From: Ann <ann@example.org>\nSubject: Lunch\n\nSee you at noon."
"""What any tensor of texts is given: a small message, for models that read messages."""


def request(url: str, model: str, version: str | None) -> str | None:
    """Returns a curl command for the model at `url`, or None if that does not answer.

    `version` is named where clients have to name it.
    """
    path = f"{url}/v2/models/{model}" + (f"/versions/{version}" if version else "")
    answer = probes.answer(path)
    if answer is None or not answer.is_success:
        return None
    try:
        inputs = answer.json()["inputs"]
    except (ValueError, KeyError):
        return None
    body = json.dumps({"inputs": [_tensor(each) for each in inputs]})
    return f"curl -s {path}/infer -d {shlex.quote(body)}"


def _tensor(described: Any) -> dict[str, Any]:
    shape = [1, *(int(size) for size in described["shape"][1:])]
    value: Any = _TEXT if described["datatype"] == "BYTES" else 1
    return {
        "name": described["name"],
        "datatype": described["datatype"],
        "shape": shape,
        "data": [value] * math.prod(shape),
    }
