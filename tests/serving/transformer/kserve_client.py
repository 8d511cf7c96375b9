"""kserve's own client of the V2 protocol over REST, as a program: prints what it got as JSON."""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

MAIL = (
    b"From: Ann <ann@known.example>\r\nTo: b@c.example\r\nSubject: Meeting report\r\n\r\n"
    b"minutes attached thanks\r\n"
)


async def main(url: str, model: str) -> dict[str, Any]:
    """Asks everything that the client can ask."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    told: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model": await client.is_model_ready(url, model),
    }
    for form in ("json", "binary"):
        tensor = InferInput("email", [2], "BYTES")
        tensor.set_data_from_numpy(
            np.array([MAIL, b"winner prize"], dtype=object), binary_data=form == "binary"
        )
        answer = await client.infer(url, InferRequest(model, [tensor]), model_name=model)
        told[form] = np.array(answer.get_output_by_name("label").data).tolist()
    await client.close()
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2]))))
