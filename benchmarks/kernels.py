"""Single layers and operations on the CPU with Mainstay's kernels and without, and in TensorFlow and PyTorch.

    python benchmarks/kernels.py --rounds 7
    python benchmarks/kernels.py --only conv,lstm \\
        --tensorflow-python .venv-tensorflow/bin/python --torch-python .venv-torch/bin/python

Every engine runs the same Keras layer in a process of its own: a training step (output, gradients of the input and of
all weights) or, for `sort`, the operation. In every round each engine measures one block, in an order that turns from
round to round. Printed are medians in milliseconds, and the other engines' medians over those of the kernels: above 1,
the kernels are ahead.
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
    "attention": ("MultiHeadAttention", {"num_heads": 8, "key_dim": 32}, (16, 128, 256)),
    "lstm": ("LSTM", {"units": 128}, (32, 100, 64)),
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
    return {"jax": jax_step, "tensorflow": tensorflow_step, "torch": torch_step}[keras.backend.backend()](
        layer, apply, x, [x] * inputs, {"training": True} if trains else {}
    )


def jax_step(layer: Any, apply: Any, x: Any, inputs: Any, options: Any) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    def loss(variables: Any, x: Any, state: Any) -> Any:
        output, state = layer.stateless_call(variables, state, *[x] * len(inputs), **options)
        return jnp.sum(output**2), (output, state)

    step = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    variables = [variable.value for variable in layer.trainable_variables]
    state, placed = [variable.value for variable in layer.non_trainable_variables], jnp.asarray(x)
    return lambda: jax.block_until_ready(step(variables, placed, state))


def tensorflow_step(layer: Any, apply: Any, x: Any, *_: Any) -> Callable[[], Any]:
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


def torch_step(layer: Any, apply: Any, x: Any, *_: Any) -> Callable[[], Any]:
    import torch

    placed = torch.from_numpy(x).requires_grad_()

    def step() -> Any:
        wanted = [placed, *[variable.value for variable in layer.trainable_variables]]
        return torch.autograd.grad((apply(placed) ** 2).sum(), wanted)

    return step


def operation(function: Any, x: Any) -> Callable[[], Any]:
    import keras

    placed, backend = keras.ops.convert_to_tensor(x), keras.backend.backend()
    if backend == "jax":
        import jax

        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(placed))
    if backend == "tensorflow":
        import tensorflow as tf

        graph = tf.function(function)
        return lambda: graph(placed)
    return lambda: function(placed)


def work(engine: str) -> None:
    """Read names of cases from standard input; answer each with the mean milliseconds of a block."""
    if engine in ("kernels", "plain"):
        import mainstay.keras  # noqa: F401  (puts the kernels behind Keras)
    prepared: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in prepared:
            prepared[name] = training_step(name)
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
    parser.add_argument("--torch-python", help="the Python of an environment with Keras and PyTorch")
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
