"""KServe's Python server."""

import sys

import numpy as np
from kserve import Model, ModelServer
from model import predict


class Served(Model):
    def __init__(self):
        super().__init__("m")
        self.ready = True

    def load(self):
        self.ready = True
        return True

    async def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": predict(np.array(payload["instances"], np.float32)).tolist()}


port = int(sys.argv[1])
ModelServer(http_port=port, grpc_port=port + 1, workers=1, access_log_format=None, enable_docs_url=False).start(
    [Served()]
)
