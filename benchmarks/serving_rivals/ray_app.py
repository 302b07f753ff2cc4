"""Ray Serve with its batching."""

import sys
import time

import numpy as np
import ray
from model import predict
from ray import serve

ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Model:
    @serve.batch(max_batch_size=128, batch_wait_timeout_s=0.001)
    async def run(self, inputs):
        answers = predict(np.concatenate(inputs))
        return [answers[index : index + 1].tolist() for index in range(len(answers))]

    async def __call__(self, request):
        document = await request.json()
        return {"predictions": await self.run(np.array(document["instances"], np.float32))}


serve.run(Model.bind(), route_prefix="/v1/models/m:predict")
while True:
    time.sleep(60)
