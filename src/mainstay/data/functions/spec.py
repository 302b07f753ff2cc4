"""The spec of what a function gives, found by calling it on a few elements, some of them of other lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, TensorSpec
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column
from mainstay.data.specs import Spec, relax, spec_of_chunk
from mainstay.data.structures import Structure, flatten, map_structure


def spec_of_results(function: Callable[[Chunk], Chunk], sample: Chunk | None, specs: Structure) -> Structure:
    """Return the spec of what a function gives.

    Args:
        function: The function of chunks, one to one.
        sample: Some elements; None or empty where there are none, then elements of zeros are made up.
        specs: Their specs; an axis of any length is tried out in another one, too.

    Raises:
        ArgumentError: There are no elements, and the function does not take made-up ones.
    """
    if sample is None or not sample.length:
        sample = _made_up(specs)
        try:
            result = spec_of_chunk(function(sample))
        except Exception as error:
            raise ArgumentError(
                "what a function gives is not known, as there is no element to call it on",
                expected=f"a function that takes an element of zeros of {specs}",
                received=f"{type(error).__name__}: {error}",
            ) from error
    else:
        result = spec_of_chunk(function(sample))
    flat = flatten(specs)
    if len(flat) != len(sample.columns):
        return result
    for other in _of_other_lengths(sample, flat):
        try:
            found = spec_of_chunk(function(other))
            result = map_structure(relax, result, found)
        except Exception:
            # A function may rely on the lengths that there are; then these are what is known.
            continue
    return result


def _made_up(specs: Structure) -> Chunk:
    return Chunk.of_rows([map_structure(_zero, specs)])


def _zero(spec: Spec) -> Any:
    from mainstay.io import Ragged

    shape = tuple(1 if axis is None else axis for axis in spec.shape)
    if not isinstance(spec, TensorSpec):
        return Ragged.from_rows([np.zeros(0, spec.dtype)] * (shape[0] if shape else 1), dtype=spec.dtype)
    if spec.dtype == "string":
        array = np.empty(shape, object)
        array.fill(b"")
        return array if shape else b""
    return np.zeros(shape, spec.dtype)


def _of_other_lengths(sample: Chunk, specs: Sequence[Spec]) -> list[Chunk]:
    """Return the first element with the axes of any length made shorter, or longer where they have length 1."""
    columns: list[Column] = []
    changed = False
    for column, spec in zip(sample.columns, specs, strict=True):
        first = column[:1] if isinstance(column, np.ndarray) else sample.cut(0, 1).columns[len(columns)]
        if isinstance(first, np.ndarray) and len(spec.shape) == first.ndim - 1:
            for axis, length in enumerate(spec.shape, 1):
                if length is None and first.shape[axis]:
                    changed = True
                    many = first.shape[axis] > 1
                    first = first.take(range(first.shape[axis] - 1), axis) if many else first.repeat(2, axis)
        columns.append(first)
    return [Chunk(sample.skeleton, tuple(columns), 1)] if changed else []
