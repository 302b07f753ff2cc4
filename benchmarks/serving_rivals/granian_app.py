"""The fastest hand-written application: granian's RSGI interface and orjson."""

import numpy as np
import orjson
from model import predict, predict_image


async def app(scope, protocol) -> None:
    if scope.proto != "http":
        return
    run = predict_image if "image" in scope.path else predict
    answer = run(np.array(orjson.loads(await protocol())["instances"], np.float32))
    body = orjson.dumps({"predictions": answer}, option=orjson.OPT_SERIALIZE_NUMPY)
    protocol.response_bytes(200, [("content-type", "application/json")], body)
