"""`TensorProto` to NumPy arrays and back: strings are object arrays of `bytes`, repeated values are stored once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.core import FormatError, message_class
from mainstay.saved_model.graphs.dtypes import Kind, array_dtype, kind_of_number, number_of_kind

Array = np.ndarray[Any, Any]

_MOST_ELEMENTS = 1 << 31
_MOST_REPEATED_BYTES = 1 << 28
"""How large an array may become whose message holds less than it: a splat of a few bytes must not fill the memory."""

_MOST_AXES = 64
_MOST_BYTES_LOG2 = 56

_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "int8": "int_val",
    "uint16": "int_val",
    "int4": "int_val",
    "uint4": "int_val",
    "int2": "int_val",
    "uint2": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}
_BITS = {"float16": np.uint16, "bfloat16": np.uint16}


def _malformed(summary: str, where: str, **parts: object) -> FormatError:
    return FormatError(f"a constant is malformed: {summary}", where=where or None, **parts)


def is_array_shape(shape: Sequence[int]) -> bool:
    """Return whether an array can have a shape: of few axes, and not past all memory even where an axis is empty."""
    return len(shape) <= _MOST_AXES and math.prod(size for size in shape if size) < 1 << _MOST_BYTES_LOG2


def read_shape(shape: Any, *, where: str = "") -> tuple[int | None, ...] | None:
    """Return a `TensorShapeProto` as a tuple with None for an open axis, or None if the rank is open."""
    if shape.unknown_rank:
        return None
    sizes = tuple(None if dim.size == -1 else int(dim.size) for dim in shape.dim)
    if any(size is not None and size < 0 for size in sizes):
        raise FormatError("a shape has a negative axis", where=where or None, received=sizes)
    return sizes


def write_shape(target: Any, shape: tuple[int | None, ...] | None) -> None:
    """Fill a `TensorShapeProto` from a tuple with None for an open axis, or from None for an open rank."""
    if shape is None:
        target.unknown_rank = True
        return
    target.SetInParent()
    for size in shape:
        target.dim.add(size=-1 if size is None else size)


def read_tensor_proto(proto: Any, *, where: str = "") -> Array:
    """Return the array of a `TensorProto`, read-only where its bytes lie in the message.

    Args:
        proto: The message.
        where: The node or attribute, for messages.

    Raises:
        FormatError: Its shape and its content disagree, or its dtype holds no values.
    """
    kind = kind_of_number(proto.dtype)
    shape = read_shape(proto.tensor_shape, where=where)
    if shape is None or None in shape:
        raise _malformed("its shape is open", where, received=shape)
    sizes = tuple(int(size) for size in shape if size is not None)
    if not is_array_shape(sizes):
        raise _malformed("it is too large", where, received=sizes)
    count = math.prod(sizes)
    if count > _MOST_ELEMENTS:
        raise _malformed("it is too large", where, expected=f"at most {_MOST_ELEMENTS:,} elements", received=sizes)
    if kind in ("resource", "variant"):
        raise _malformed("it holds no plain values", where, received=kind)
    if kind != "string" and proto.tensor_content:
        return _from_content(proto.tensor_content, array_dtype(kind), sizes, where)
    values = _values(proto, kind)
    if len(values) > count:
        raise _malformed("it has more values than its shape", where, expected=count, received=len(values))
    return _filled(values, count, where).reshape(sizes)


def _from_content(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> Array:
    expected = math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise _malformed(
            "the size of its content does not follow from its shape",
            where,
            expected=f"{expected} bytes for {dtype}{list(shape)}",
            received=f"{len(content)} bytes",
        )
    return np.frombuffer(content, np.uint8).view(dtype).reshape(shape)


def _values(proto: Any, kind: Kind) -> Array:
    if kind == "string":
        values = np.empty(len(proto.string_val), object)
        values[:] = list(proto.string_val)
        return values
    dtype = array_dtype(kind)
    name = dtype.name
    if name in ("complex64", "complex128"):
        pairs = np.array(proto.scomplex_val if name == "complex64" else proto.dcomplex_val)
        return pairs[: len(pairs) // 2 * 2].view(dtype)
    if name in _BITS:
        return np.array(proto.half_val, np.int64).astype(_BITS[name]).view(dtype)
    if name.startswith("float8"):
        return np.frombuffer(bytes(proto.float8_val), np.uint8).view(dtype)
    return np.array(getattr(proto, _FIELDS[name])).astype(dtype)


def _filled(values: Array, count: int, where: str) -> Array:
    """Return `count` values: a message leaves out the last ones where they repeat, and all where they are zero."""
    if len(values) == count:
        return values
    if (count - len(values)) * values.dtype.itemsize > _MOST_REPEATED_BYTES:
        raise _malformed(
            "it repeats one value too often",
            where,
            expected=f"at most {_MOST_REPEATED_BYTES:,} bytes of repeated values",
            received=f"{count:,} values of {values.dtype}",
        )
    if len(values) == 0:
        filled = np.zeros(count, values.dtype)
        if values.dtype == object:
            filled[:] = b""
        return filled
    return np.concatenate([values, np.repeat(values[-1:], count - len(values))])


def repeated_bytes(proto: Any) -> int:
    """Return how many bytes the array of a `TensorProto` has whose message holds only the value that they repeat."""
    sizes = [max(int(dim.size), 0) for dim in proto.tensor_shape.dim[: _MOST_AXES + 1]]
    if proto.tensor_content or not is_array_shape(sizes):
        return 0
    return max(math.prod(sizes) - int(proto.ByteSize()), 0) * array_dtype(kind_of_number(proto.dtype)).itemsize


def write_tensor_proto(array: Any) -> Any:
    """Return a `TensorProto` of an array; text becomes UTF-8, and an array of one value throughout is stored short.

    Raises:
        FormatError: TensorFlow has no such dtype.
    """
    values = np.asarray(array)
    if values.dtype.kind in "SU":
        values = values.astype(object)
    proto = message_class("tensorflow.TensorProto")(dtype=number_of_kind(values.dtype))
    write_shape(proto.tensor_shape, values.shape)
    if values.dtype == object:
        proto.string_val.extend([text.encode() if isinstance(text, str) else bytes(text) for text in values.ravel()])
        return proto
    flat = np.ascontiguousarray(values).reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, -1) if flat.size else np.empty((0, 1), np.uint8)
    name = values.dtype.name
    if flat.size > 1 and name in _FIELDS and (raw == raw[0]).all():
        getattr(proto, _FIELDS[name]).append(flat[0].item())
    else:
        proto.tensor_content = flat.tobytes()
    return proto
