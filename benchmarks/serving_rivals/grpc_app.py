"""grpcio's asyncio server on uvloop, with TF Serving's messages compiled by protoc (upb)."""

import asyncio
import sys

import grpc
import numpy as np
import uvloop
from model import predict

sys.path.insert(0, sys.argv[2])  # where the benchmark has compiled the messages
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse


async def answer(request, context):
    tensor = request.inputs["x"]
    shape = [axis.size for axis in tensor.tensor_shape.dim]
    probabilities = predict(np.frombuffer(tensor.tensor_content, np.float32).reshape(shape))
    response = PredictResponse()
    response.model_spec.name = "m"
    response.model_spec.version.value = 1
    output = response.outputs["probs"]
    output.dtype = 1
    for size in probabilities.shape:
        output.tensor_shape.dim.add().size = size
    output.float_val.extend(probabilities.ravel().tolist())
    return response


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(answer, PredictRequest.FromString, PredictResponse.SerializeToString)


async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Service(),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    await server.wait_for_termination()


uvloop.install()
asyncio.run(main())
