"""Scalars: one number per step, drawn as a curve."""

from __future__ import annotations

from typing import Any

from mainstay.core import ArgumentError
from mainstay.summary.messages import SCALAR, float_tensor, plugin_metadata
from mainstay.summary.recording import host_numbers, record


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Record a number.

    Args:
        name: The name of the curve; a slash groups curves.
        data: A real number of shape [], kept as float32; NaN and infinity are allowed.
        step: The step; without it, the default one.
        description: Markdown to show beside the curve.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: The name, the value or the step is wrong.
        StorageError: The event file could not be written.
    """
    metadata = plugin_metadata("scalars", SCALAR, description)
    return record(name, lambda value: _encode(name, value), (data,), step, metadata)


def _encode(name: str, value: Any) -> Any:
    if type(value) is float:
        return float_tensor(value)
    array = host_numbers(value, name)
    if array.shape != ():
        raise ArgumentError(
            "the value of a scalar summary is not a scalar",
            where=name,
            expected="shape []",
            received=f"shape {list(array.shape)}",
            fix="reduce it first, for example to its mean, or use summary.histogram",
        )
    return float_tensor(float(array))
