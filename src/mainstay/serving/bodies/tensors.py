"""Arrays of any dtype into the rows of a request, by the rules that JSON has for numbers; what fits is not copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  (makes bfloat16 a dtype of NumPy)
import numpy as np

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import Chunk, DensePart
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.plans import EXACT_INTEGERS, InputPlan
from mainstay.serving.tensors import tensor_chunk

Array: TypeAlias = np.ndarray[Any, Any]
Tensor: TypeAlias = Array | DensePart


def chunk_of(tensors: Mapping[str, Tensor], endpoint: Endpoint) -> Chunk:
    """Return the rows that tensors are for a signature.

    Args:
        tensors: By the names of the inputs, each ``[rows, *inner]``; strings are arrays of object or of NumPy's own
            kinds. An optional input may be absent, or missing in some rows.
        endpoint: The signature.

    Raises:
        RequestError: A name, a dtype or a shape is not as the signature says.
    """
    plans = {plan.name: plan for plan in endpoint.plans}
    arrays = {name: tensor.values if isinstance(tensor, DensePart) else tensor for name, tensor in tensors.items()}
    for name, array in arrays.items():
        if name in plans:
            arrays[name] = as_dtype(array, plans[name], f"$.{name}")
    chunk = tensor_chunk(endpoint, arrays, "$")
    gone = {name: part.missing for name, part in tensors.items() if isinstance(part, DensePart) and part.missing.any()}
    if not gone:
        return chunk
    for name in gone:
        if not plans[name].optional or chunk.whole:
            raise RequestError(f"input {name!r} has nulls, and is not optional", where=f"$.{name}")
    parts = [
        DensePart(arrays[plan.name], gone[plan.name]) if plan.name in gone else part
        for plan, part in zip(endpoint.plans, chunk.parts, strict=True)
    ]
    return Chunk(chunk.rows, parts, True, chunk.shape, chunk.place)


def as_dtype(array: Array, plan: InputPlan, where: str) -> Array:
    """Return an array in the dtype of an input, by the rules of JSON: no number changes that the dtype could not hold.

    Whole numbers serve as floats as far as they are exact, doubles are rounded, and floats are no integers.

    Raises:
        RequestError: The array is of another kind, or a number is out of range.
    """
    have = array.dtype
    if plan.dtype == "string":
        if have.kind not in "OSU":
            raise _refusal(array, plan, where)
        return array if have.kind == "O" else array.astype(object)
    want = np.dtype(plan.dtype)
    if have == want:
        return np.ascontiguousarray(array) if array.ndim else array
    if have.kind in "iu" and plan.is_integer:
        return _narrowed(array, want, plan, where)
    if have.kind in "iu" and plan.is_float:
        return _as_float(array, want, plan, where)
    if (have.kind == "f" or have.name == "bfloat16") and plan.is_float:
        return _rounded(array, want, plan, where)
    raise _refusal(array, plan, where)


def _narrowed(array: Array, want: np.dtype[Any], plan: InputPlan, where: str) -> Array:
    limits = np.iinfo(want)
    if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
        raise _refusal(array, plan, where, f"{plan.dtype}, {limits.min} to {limits.max}")
    return array.astype(want)


def _as_float(array: Array, want: np.dtype[Any], plan: InputPlan, where: str) -> Array:
    exact = EXACT_INTEGERS[plan.dtype]
    if not array.size or (int(array.min()) >= -exact and int(array.max()) <= exact):
        return array.astype(want)
    with np.errstate(over="ignore"):
        floats = array.astype(want)
    if not np.isfinite(floats).all():
        raise _refusal(array, plan, where, f"whole numbers that {plan.dtype} can hold")
    # Compared as Python numbers, which are exact, and only where there is a doubt.
    doubtful = (array > exact) | (array < -exact) if array.dtype.kind == "i" else array > exact
    if any(int(value) != int(was) for value, was in zip(floats[doubtful], array[doubtful], strict=True)):
        raise _refusal(array, plan, where, f"whole numbers that {plan.dtype} can hold")
    return floats


def _rounded(array: Array, want: np.dtype[Any], plan: InputPlan, where: str) -> Array:
    if want.itemsize < array.dtype.itemsize or want.itemsize == 2:
        limits = plan.bounds(float)
        wide = array.astype(np.float64, copy=False)
        finite = wide[np.isfinite(wide)]
        if limits is not None and finite.size and not (finite.min() >= limits[0] and finite.max() <= limits[1]):
            raise _refusal(array, plan, where, f"numbers that {plan.dtype} can hold")
    return array.astype(want)


def _refusal(array: Array, plan: InputPlan, where: str, expected: str = "") -> RequestError:
    kind = "string" if array.dtype.kind in "OSU" else array.dtype.name
    return RequestError(
        f"input {plan.name!r} has the wrong dtype"
        if not expected
        else f"input {plan.name!r} has a number out of range",
        where=where,
        expected=expected or plan.dtype,
        received=kind,
    )
