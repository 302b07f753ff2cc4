"""Tensors by name, as binary protocols carry them, become the rows of a request: dtypes and shapes are checked here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import MOST_ROWS, Chunk, DensePart
from mainstay.serving.grpc.tensor_proto import decode_tensor
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.plans import InputPlan

Array: TypeAlias = np.ndarray[Any, Any]

TENSORFLOW_NAMES = {
    "bool": "bool",
    "float16": "half",
    "bfloat16": "bfloat16",
    "float32": "float",
    "float64": "double",
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "string")},
}
"""What TensorFlow's messages call each dtype of `core.DTYPES`."""


def tensor_chunk(endpoint: Endpoint, tensors: Mapping[str, Array], base: str = "$.inputs") -> Chunk:
    """Return the rows that tensors hold, ready to be queued.

    Args:
        endpoint: The signature that they are for.
        tensors: By input name, the whole tensor: for a signature that works on rows `[rows, *inner]`. Strings are
            arrays of object, of bytes or str. An optional input may be left out.
        base: The path of the tensors in the request, for errors.

    Returns:
        The chunk; it shares the tensors' memory. Where inputs are left out for which the signature itself has values,
        those stand in.

    Raises:
        RequestError: A tensor is missing, unknown, or of the wrong dtype or shape, or their rows differ in number.
    """
    plans = endpoint.plans
    check_names(endpoint, tensors)
    tensors = _with_defaults(tensors, endpoint)
    for slot, plan in enumerate(plans):
        array = tensors.get(plan.name)
        if array is not None and not array.size and any(size > MOST_ROWS for size in array.shape):
            raise RequestError(
                f"the shape of input {plan.name} is too long for what it holds, which is nothing",
                where=f"{base}.{plan.name}",
                expected=f"axes of at most {MOST_ROWS:,}",
                received=f"shape {list(array.shape)}",
            )
        if array is not None and array.dtype.name != plan.dtype:
            given = "string" if array.dtype.kind in "OSU" else array.dtype.name
            if given != plan.dtype:
                raise wrong_dtype(plan, TENSORFLOW_NAMES.get(given, given), slot=slot, base=base)
    if not endpoint.batched or (any(plan.free for plan in plans) and not _are_rows(plans, tensors)):
        return _whole(plans, tensors, base)
    rows = _rows(plans, tensors, base)
    if rows > MOST_ROWS:
        raise RequestError(f"The request has {rows:,} rows; one request may have {MOST_ROWS:,}", where=base)
    parts: list[Any] = []
    for plan in plans:
        found = tensors.get(plan.name)
        parts.append(_absent(plan, rows) if found is None else found)
    missing = len(tensors) < len(plans)
    is_open = any(None in plan.inner for plan in plans)
    shape = tuple(_inner(part) for plan, part in zip(plans, parts, strict=True) if plan.inner) if is_open else ()
    return Chunk(rows, parts, missing, shape, partial(_place, base))


def check_names(endpoint: Endpoint, names: Collection[str]) -> None:
    """Refuse a request whose inputs are not those of the signature, in TF Serving's words.

    Args:
        endpoint: The signature.
        names: The names of the inputs that the request has.

    Raises:
        RequestError: One is missing or unknown.
    """
    plans = endpoint.plans
    if len(names) != len(plans) or any(plan.name not in names for plan in plans):
        defaults = defaults_of(endpoint)
        required = [plan for plan in plans if not plan.optional and plan.name not in defaults]
        if any(plan.name not in names for plan in required) or len(names) > len(plans):
            raise _wrong_inputs(names, endpoint, required)
    if sum([plan.name in names for plan in plans]) < len(names):
        used = sorted(plan.name for plan in plans if plan.name in names)
        raise RequestError(
            f"Inputs contains invalid name. Used request inputs: {','.join(used)}, request input: "
            f"{','.join(sorted(names))}"
        )


def wrong_dtype(plan: InputPlan, given: str, *, slot: int, base: str = "$.inputs") -> RequestError:
    """Return TF Serving's refusal of a tensor of another dtype.

    Args:
        plan: The input.
        given: What TensorFlow calls the dtype that was sent.
        slot: The place of the input among those of the signature.
        base: The path of the tensors in the request.
    """
    return RequestError(
        f"Expects arg[{slot}] to be {TENSORFLOW_NAMES[plan.dtype]} but {given} is provided",
        where=f"{base}.{plan.name}",
        expected=plan.described,
        received=given,
    )


def defaults_of(endpoint: Endpoint) -> Mapping[str, Any]:
    """Return the values that an imported signature has for inputs which a request leaves out, as ``TensorProto``."""
    definition = endpoint.definition
    return {} if definition is None else definition.defaults


def _with_defaults(tensors: Mapping[str, Array], endpoint: Endpoint) -> Mapping[str, Array]:
    """Return tensors with those that the signature itself has for inputs which are left out."""
    defaults = defaults_of(endpoint)
    if not defaults:
        return tensors
    added = {name: decode_tensor(proto, name) for name, proto in defaults.items() if name not in tensors}
    return {**tensors, **added}


def _wrong_inputs(names: Collection[str], endpoint: Endpoint, required: Sequence[InputPlan]) -> RequestError:
    plans = endpoint.plans
    wanted, given = sorted(plan.name for plan in plans), sorted(names)
    lacking = sorted(plan.name for plan in required if plan.name not in names)
    if len(given) > len(wanted) or (len(given) < len(wanted) and len(required) == len(plans)):
        return RequestError(
            f"input size does not match signature: {len(given)}!={len(wanted)} len({{{','.join(given)}}}) != "
            f"len({{{','.join(wanted)}}}). Sent extra: {{{','.join(sorted(set(given) - set(wanted)))}}}. "
            f"Missing but required: {{{','.join(lacking)}}}."
        )
    optional = sorted(set(wanted) - {plan.name for plan in required})
    return RequestError(
        f"Signature input alias: {lacking[0]}(feed name: {endpoint.name}_{lacking[0]}:0) not found in request and no "
        f"default value provided. Inputs expected to be in the request {{{','.join(given)}}}, or default input alias "
        f"set: {','.join(optional)}"
    )


def _are_rows(plans: Sequence[InputPlan], tensors: Mapping[str, Array]) -> bool:
    """Return whether tensors for a graph that takes any shape are rows as its signature states them."""
    rows = None
    for plan in plans:
        array = tensors.get(plan.name)
        if array is None:
            continue
        if not array.ndim or not len(array) or rows not in (None, len(array)) or not _fits(array.shape, plan):
            return False
        rows = len(array)
    return rows is not None


def _fits(shape: tuple[int, ...], plan: InputPlan) -> bool:
    inner = plan.inner
    return len(shape) == len(inner) + 1 and all(
        want is None or want == have for want, have in zip(inner, shape[1:], strict=True)
    )


def _rows(plans: Sequence[InputPlan], tensors: Mapping[str, Array], base: str) -> int:
    """Return how many rows the tensors have, all the same number, after a look at every shape."""
    rows, first = -1, ""
    for plan in plans:
        array = tensors.get(plan.name)
        if array is None:
            continue
        shape = array.shape
        if not _fits(shape, plan):
            axes = ", ".join("any" if axis is None else str(axis) for axis in ("batch", *plan.inner))
            raise RequestError(
                "an input has the wrong shape",
                where=f"{base}.{plan.name}",
                expected=f"{plan.dtype} of shape [{axes}]",
                received=f"shape {list(shape)}",
            )
        if rows < 0:
            rows, first = shape[0], plan.name
        elif rows != shape[0]:
            raise RequestError(
                "the inputs differ in their number of rows",
                where=f"{base}.{plan.name}",
                expected=f"{rows} rows, as {first} has",
                received=f"{shape[0]} rows",
            )
    if rows < 0:
        raise RequestError("a request without any input has no rows", where=base, expected="at least one input")
    if not rows:
        raise RequestError("an input has no rows", where=f"{base}.{first}", expected="at least one row")
    return rows


def _whole(plans: Sequence[InputPlan], tensors: Mapping[str, Array], base: str) -> Chunk:
    """Return tensors that run just as they are."""
    lacking = next((plan.name for plan in plans if plan.name not in tensors), None)
    if lacking is not None:
        raise RequestError("an input is not there", where=f"{base}.{lacking}", expected="a tensor of any shape")
    parts = [tensors[plan.name] for plan in plans]
    rows = max((len(part) for part in parts if part.ndim), default=1)
    return Chunk(rows, parts, place=partial(_place, base), whole=True)


def _absent(plan: InputPlan, rows: int) -> Any:
    """Return an optional input that no row has."""
    if not plan.inner:
        return (None,) * rows
    shape = (rows, *(axis or 1 for axis in plan.inner))
    blank = np.full(shape, "", object) if plan.dtype == "string" else np.zeros(shape, plan.dtype)
    return DensePart(blank, np.ones(rows, bool))


def _inner(part: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = (part.values if isinstance(part, DensePart) else part).shape[1:]
    return shape


def _place(base: str, name: str, row: int) -> str:
    return f"{base}.{name}[{row}]"
