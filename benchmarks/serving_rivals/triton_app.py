"""Triton Inference Server through pytriton, batching without a delay."""

import sys

import numpy as np
from model import predict
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


@batch
def infer(x):
    return [predict(x)]


port = int(sys.argv[1])
config = TritonConfig(
    http_port=port, grpc_port=port + 1, metrics_port=port + 2, http_address="127.0.0.1", grpc_address="127.0.0.1"
)
with Triton(config=config) as triton:
    triton.bind(
        model_name="m",
        infer_func=infer,
        inputs=[Tensor(name="x", dtype=np.float32, shape=(784,))],
        outputs=[Tensor(name="probs", dtype=np.float32, shape=(10,))],
        config=ModelConfig(max_batch_size=128, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
    )
    triton.serve()
