"""kserve's own client of the V2 protocol over REST, as a program: prints what it got as JSON."""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


async def main(url: str, key: str) -> dict[str, Any]:
    """Asks everything that the client can ask."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    headers = {"X-API-Key": key}
    told: dict[str, Any] = {
        "live": await client.is_server_live(url, headers=headers),
        "ready": await client.is_server_ready(url, headers=headers),
        "model": await client.is_model_ready(url, "iris", headers=headers),
    }
    for form in ("json", "binary"):
        tensor = InferInput("features", [1, 4], "FP32")
        tensor.set_data_from_numpy(np.array([[5.1, 3.5, 1.4, 0.2]], np.float32), binary_data=form == "binary")
        answer = await client.infer(url, InferRequest("iris", [tensor]), model_name="iris", headers=headers)
        told[form] = np.array(answer.get_output_by_name("label").data).ravel().tolist()
    await client.close()
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2]))))
