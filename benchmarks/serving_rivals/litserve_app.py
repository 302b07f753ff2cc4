"""LitServe with its batching."""

import sys

import litserve
import numpy as np
from model import predict


class Api(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return np.array(request["instances"], np.float32)

    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, x):
        return predict(x)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"predictions": [output.tolist()]}


if __name__ == "__main__":
    api = Api(max_batch_size=32, batch_timeout=0.001, api_path="/v1/models/m:predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", log_level="error", generate_client_file=False, num_api_servers=1
    )
