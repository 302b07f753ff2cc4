"""Verification: a trace is believed where it gives what the functions themselves give for some elements, twice.

Tracing alone proves nothing: ``len(str(x))`` traces, and so does a function that draws random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, rows
from mainstay.data.functions.opaque import UntraceableError
from mainstay.data.functions.rows import as_answer
from mainstay.data.functions.steps import Step, call, in_python, is_wide
from mainstay.data.functions.traced import TracedSteps
from mainstay.data.functions.tracing import Computed, Through
from mainstay.data.functions.values import as_element
from mainstay.data.structures import Structure

_TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-10, "complex128": 1e-10}


def traced(steps: Sequence[Step], sample: Chunk) -> TracedSteps:
    """Return steps as one function of chunks, believed because both give the same for a sample.

    Args:
        steps: The steps; only the last may be a filter.
        sample: Some elements.

    Raises:
        UntraceableError: They cannot be traced, or mean something else when traced; the message says what. Its
            `first` is what they make of the first element.
    """
    # Called before the trace, so that what builds itself at its first call, such as a layer, does so with numbers.
    first = _in_python(steps, sample.cut(0, 1), wide=False)
    try:
        function = TracedSteps(steps, sample)
        _verify(function, steps, sample)
    except UntraceableError as error:
        error.first = first if first.length else None
        raise
    return function


def _verify(function: TracedSteps, steps: Sequence[Step], sample: Chunk) -> None:
    """Refuse traced steps that give something else than in Python, where each is called twice."""
    expected = _in_python(steps, sample, wide=False)
    found, columns = function.compiled.trace, function.columns
    made = function(sample)
    again = _in_python(steps, sample, wide=False)
    if not _same(expected, again):
        raise UntraceableError("it gives something else each time that it is called")
    wide: Chunk | None = None
    for index, leaf in enumerate(found.leaves):
        reference = expected
        if (isinstance(leaf, Computed) and leaf.wide) or (isinstance(leaf, Through) and is_wide(columns[leaf.place])):
            wide = _in_python(steps, sample, wide=True) if wide is None else wide
            reference = wide
        _compare(made, reference, index, exact_dtypes=found.is_numpy)


def _in_python(steps: Sequence[Step], sample: Chunk, *, wide: bool) -> Chunk:
    """Return what steps make of some elements, called one by one."""
    results = []
    try:
        with in_python(sample.columns, wide=wide):
            for element in sample.rows():
                kept, result = _one(steps, element)
                if kept:
                    results.append(result)
        return Chunk.of_rows(results) if results else Chunk(None, (), 0)
    except Exception as error:
        raise UntraceableError(f"it fails for one of the first elements: {type(error).__name__}: {error}") from error


def _one(steps: Sequence[Step], element: Structure) -> tuple[bool, Structure]:
    for step in steps:
        result = call(step.function, element)
        if step.is_filter:
            return as_answer(result), element
        element = as_element(result)
    return True, element


def _same(one: Chunk, other: Chunk) -> bool:
    if one.skeleton != other.skeleton or one.length != other.length:
        return False
    return all(_equal(a, b) for a, b in zip(one.columns, other.columns, strict=True))


def _equal(one: Column, other: Column) -> bool:
    if isinstance(one, np.ndarray) and one.dtype != object:
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return list(map(_plain, rows(one))) == list(map(_plain, rows(other)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.tolist()
    return value.to_list() if hasattr(value, "to_list") else value


def _compare(made: Chunk, expected: Chunk, index: int, *, exact_dtypes: bool) -> None:
    """Refuse a result that differs from what the functions give in Python."""
    if made.length != expected.length:
        raise UntraceableError("traced, it keeps other elements than in Python")
    if not made.length:
        return
    if made.skeleton != expected.skeleton:
        raise UntraceableError("traced, it gives another structure than in Python")
    one, other = made.columns[index], expected.columns[index]
    if not isinstance(one, np.ndarray) or one.dtype == object:
        if _equal(one, other):
            return
        raise UntraceableError("traced, it gives other strings or lists than in Python")
    if not isinstance(other, np.ndarray) or one.shape != other.shape or not _fits(one.dtype, other.dtype, exact_dtypes):
        received = f"{other.dtype}{list(other.shape[1:])}" if isinstance(other, np.ndarray) else type(other).__name__
        raise UntraceableError(f"traced, it gives {one.dtype}{list(one.shape[1:])}, and in Python {received}")
    if not _close(one, other):
        raise UntraceableError("traced, it gives other numbers than in Python")


def _fits(traced_dtype: np.dtype[Any], dtype: np.dtype[Any], exactly: bool) -> bool:
    """Return whether dtypes agree: NumPy makes 64 bits of some narrower numbers, where JAX and TensorFlow do not."""
    return traced_dtype == dtype or (
        not exactly
        and traced_dtype.kind == dtype.kind
        and dtype.itemsize == 8
        and dtype.kind in "iuf"
        and traced_dtype.itemsize < 8
    )


def _close(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.dtype.kind in "biu":
        return bool((one == other).all())
    tolerance = _TOLERANCE.get(one.dtype.name, 1e-5)
    size = np.abs(other[np.isfinite(other)]).max(initial=0.0) if other.size else 0.0
    if one.dtype.kind != "c":
        one, other = one.astype(np.float64), other.astype(np.float64)
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance * float(size), equal_nan=True))
