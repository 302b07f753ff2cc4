"""Single layers and operations on the CPU with Mainstay's kernels and without, and in TensorFlow and PyTorch.

    python benchmarks/kernels.py --rounds 7
    python benchmarks/kernels.py --only conv,lstm \\
        --tensorflow-python .venv-tensorflow/bin/python --torch-python .venv-torch/bin/python

Every engine runs the same layer in a process of its own, a Keras layer or PyTorch's own: a training step (output,
gradients of the input and of all weights) or, for `sort`, the operation. In every round each engine measures one block,
in an order that turns from round to round. Printed are medians in milliseconds, and the other engines' medians over
those of the kernels: above 1, the kernels are ahead.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BLOCK_SECONDS = 0.2

# A layer of Keras by name with its arguments, and the shape of its input.
CASES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "conv 3x3, 1 to 32": ("Conv2D", {"filters": 32, "kernel_size": 3}, (32, 28, 28, 1)),
    "conv 3x3, 32 to 64": ("Conv2D", {"filters": 64, "kernel_size": 3}, (32, 26, 26, 32)),
    "conv 1x1, 64 to 256": ("Conv2D", {"filters": 256, "kernel_size": 1}, (16, 32, 32, 64)),
    "depthwise 3x3": ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}, (16, 56, 56, 64)),
    "depthwise 3x3, strides 2": ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2}, (16, 56, 56, 64)),
    "separable 3x3": ("SeparableConv2D", {"filters": 64, "kernel_size": 3}, (16, 28, 28, 64)),
    "max pool 2x2": ("MaxPooling2D", {}, (32, 26, 26, 32)),
    "max pool 3x3, strides 2": ("MaxPooling2D", {"pool_size": 3, "strides": 2}, (16, 56, 56, 64)),
    "average pool 3x3, strides 1": ("AveragePooling2D", {"pool_size": 3, "strides": 1}, (16, 28, 28, 64)),
    "batch normalization": ("BatchNormalization", {}, (16, 64, 64, 64)),
    "dense on sequences": ("Dense", {"units": 512}, (32, 64, 128)),
    "attention": ("MultiHeadAttention", {"num_heads": 8, "key_dim": 32}, (16, 128, 256)),
    "lstm": ("LSTM", {"units": 256}, (16, 50, 128)),
    "dropout": ("Dropout", {"rate": 0.1}, (32, 128, 256)),
    "sort": ("sort", {}, (1 << 18,)),
}


def training_step(name: str) -> Callable[[], Any]:
    """Return a function that runs one step of a case in this process's backend and waits for the result."""
    import keras

    layer_name, arguments, shape = CASES[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if layer_name == "sort":
        return operation(keras.ops.sort, x)
    layer = getattr(keras.layers, layer_name)(**arguments)
    inputs = 2 if layer_name == "MultiHeadAttention" else 1
    trains = layer_name in ("BatchNormalization", "Dropout")

    def apply(x: Any) -> Any:
        return layer(*[x] * inputs, training=True) if trains else layer(*[x] * inputs)

    apply(keras.ops.convert_to_tensor(x))
    if keras.backend.backend() == "tensorflow":
        return tensorflow_step(layer, apply, x)
    return jax_step(layer, x, inputs, {"training": True} if trains else {})


def jax_step(layer: Any, x: Any, inputs: int, options: Any) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    def loss(variables: Any, x: Any, state: Any) -> Any:
        output, state = layer.stateless_call(variables, state, *[x] * inputs, **options)
        return jnp.sum(output**2), (output, state)

    step = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    variables = [variable.value for variable in layer.trainable_variables]
    state, placed = [variable.value for variable in layer.non_trainable_variables], jnp.asarray(x)
    return lambda: jax.block_until_ready(step(variables, placed, state))


def tensorflow_step(layer: Any, apply: Any, x: Any) -> Callable[[], Any]:
    import tensorflow as tf

    placed = tf.constant(x)

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = apply(x)
            loss = tf.reduce_sum(output**2)
        return output, tape.gradient(loss, [x, *[variable.value for variable in layer.trainable_variables]])

    return lambda: step(placed)


def torch_step(name: str) -> Callable[[], Any]:
    """Return the step of PyTorch's own module for a case, with images in its channels-last memory format."""
    import torch
    from torch import nn

    layer, arguments, shape = CASES[name]
    channels = shape[-1]
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    if layer == "sort":
        return lambda: torch.sort(x)
    if len(shape) == 4:
        x = x.permute(0, 3, 1, 2)
    size, strides = arguments.get("kernel_size", arguments.get("pool_size", 2)), arguments.get("strides")
    padding = size // 2 if arguments.get("padding") == "same" else 0

    def depthwise() -> Any:
        return nn.Conv2d(channels, channels, size, strides or 1, padding, groups=channels)

    modules = {
        "Conv2D": lambda: nn.Conv2d(channels, arguments["filters"], size),
        "DepthwiseConv2D": depthwise,
        "SeparableConv2D": lambda: nn.Sequential(depthwise(), nn.Conv2d(channels, arguments["filters"], 1)),
        "MaxPooling2D": lambda: nn.MaxPool2d(size, strides or size),
        "AveragePooling2D": lambda: nn.AvgPool2d(size, strides or size),
        "BatchNormalization": lambda: nn.BatchNorm2d(channels),
        "MultiHeadAttention": lambda: nn.MultiheadAttention(channels, arguments["num_heads"], batch_first=True),
        "LSTM": lambda: nn.LSTM(channels, arguments["units"], batch_first=True),
        "Dense": lambda: nn.Linear(channels, arguments["units"]),
        "Dropout": lambda: nn.Dropout(arguments["rate"]),
    }
    module = modules[layer]().to(memory_format=torch.channels_last)
    x.requires_grad_()
    wanted = [x, *module.parameters()]

    def step() -> Any:
        output = module(x, x, x, need_weights=False) if layer == "MultiHeadAttention" else module(x)
        output = output[0] if isinstance(output, tuple) else output
        output = output[:, -1] if layer == "LSTM" else output
        return torch.autograd.grad((output**2).sum(), wanted)

    return step


def operation(function: Any, x: Any) -> Callable[[], Any]:
    import keras

    placed = keras.ops.convert_to_tensor(x)
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(placed))
    import tensorflow as tf

    graph = tf.function(function)
    return lambda: graph(placed)


def work(engine: str) -> None:
    """Read names of cases from standard input; answer each with the mean milliseconds of a block."""
    if engine in ("kernels", "plain"):
        import mainstay.keras  # noqa: F401  (puts the kernels behind Keras)
    prepared: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in prepared:
            prepared[name] = torch_step(name) if engine == "torch" else training_step(name)
            prepared[name]()
            prepared[name]()
        start, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < BLOCK_SECONDS or count < 3:
            prepared[name]()
            count += 1
        print(f"{spent / count * 1e3:.6f}", flush=True)


def started(engine: str, python: str) -> subprocess.Popen[str]:
    backend = engine if engine in ("tensorflow", "torch") else "jax"
    settings = {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if engine == "plain":
        settings |= {"MAINSTAY_KERNELS": "plain", "MAINSTAY_DROPOUT": "jax"}
    return subprocess.Popen(
        [python, __file__, "--worker", engine],
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def asked(worker: subprocess.Popen[str], name: str) -> float:
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("the worker has no pipes")
    worker.stdin.write(f"{name}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"a worker ended while it ran {name!r}; run it alone to see why: {worker.args}")
    return float(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="beginnings of names of cases, with commas between")
    parser.add_argument("--tensorflow-python", help="the Python of an environment with Keras and TensorFlow")
    parser.add_argument("--torch-python", help="the Python of an environment with PyTorch")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.worker)
    pythons = {"kernels": sys.executable, "plain": sys.executable}
    pythons |= {"tensorflow": options.tensorflow_python} if options.tensorflow_python else {}
    pythons |= {"torch": options.torch_python} if options.torch_python else {}
    workers = {engine: started(engine, python) for engine, python in pythons.items()}
    names = [name for name in CASES if name.startswith(tuple(options.only.split(",")))]
    others = [engine for engine in workers if engine != "kernels"]
    print(f"{'':30}{'kernels ms':>12}" + "".join(f"{engine + ' ms':>16}{'ratio':>8}" for engine in others))
    for name in names:
        times: dict[str, list[float]] = {engine: [] for engine in workers}
        for number in range(options.rounds):
            order = list(workers)[number % len(workers) :] + list(workers)[: number % len(workers)]
            for engine in order:
                times[engine].append(asked(workers[engine], name))
        medians = {engine: statistics.median(values) for engine, values in times.items()}
        columns = "".join(f"{medians[e]:16.3f}{medians[e] / medians['kernels']:8.2f}" for e in others)
        print(f"{name:30}{medians['kernels']:12.3f}{columns}", flush=True)
    for worker in workers.values():
        worker.terminate()
        worker.wait()
    return None


if __name__ == "__main__":
    main()
