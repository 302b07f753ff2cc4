"""Fourier transforms."""

from __future__ import annotations

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value

_OPS = (
    ("FFT", "FFT2D", "FFT3D"),
    ("IFFT", "IFFT2D", "IFFT3D"),
    ("RFFT", "RFFT2D", "RFFT3D"),
    ("IRFFT", "IRFFT2D", "IRFFT3D"),
)
"""For each kind of `jax.lax.FftType` the op over one, two and three axes."""


@lowering("fft")
def transform(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a Fourier transform over the last one to three axes."""
    lengths = equation.params["fft_lengths"]
    kind = int(equation.params["fft_type"])
    if not 1 <= len(lengths) <= 3:
        raise NotPlainError(f"TensorFlow has no transform over {len(lengths)} axes")
    op = _OPS[kind][len(lengths) - 1]
    inputs = [graph.full(x)]
    if kind >= 2:
        inputs.append(graph.lengths(lengths))
    return graph.op(op, inputs, equation.dtype, equation.shape)
