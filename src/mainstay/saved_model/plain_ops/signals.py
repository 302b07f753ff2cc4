"""Fourier transforms."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value


@lowering("fft")
def transform(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a Fourier transform over the last one to three axes."""
    lengths = equation.params["fft_lengths"]
    kind = int(equation.params["fft_type"])
    if not 1 <= len(lengths) <= 3:
        raise NotPlainError(f"TensorFlow has no transform over {len(lengths)} axes")
    op = ("FFT", "IFFT", "RFFT", "IRFFT")[kind] + ("" if len(lengths) == 1 else f"{len(lengths)}D")
    inputs = [graph.full(x)]
    if kind >= 2:
        inputs.append(graph.lengths(lengths))
        return graph.op(op, inputs, equation.dtype, equation.shape)
    if x.dtype not in (np.complex64, np.complex128):
        raise NotPlainError("it transforms complex numbers")
    return graph.op(op, inputs, equation.dtype, equation.shape)
