"""Tensors as `TensorProto` and as arrays: every dtype that a model takes or gives, by TensorFlow's rules.

Source: ``tensorflow/core/framework/tensor.cc``. Values come in ``tensor_content`` or in the field of their dtype; of
fewer values than the shape asks for the last one is repeated, without any they are zeros, and further ones are ignored.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  (makes bfloat16 a dtype of NumPy)
import numpy as np

from mainstay.core import RequestError, message_class
from mainstay.serving.grpc.wire import MalformedError, field, head, number_field, read_varint

Array: TypeAlias = np.ndarray[Any, Any]

DATA_TYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
"""The numbers of TensorFlow's ``DataType``."""

DTYPES = {number: np.dtype(object if name == "string" else name) for name, number in DATA_TYPES.items()}
"""The dtypes of arrays by those numbers; strings are objects, `bytes`."""

CONTENT_FIELD = 4
_VALUE_FIELDS = {
    "float32": ("float_val", 5),
    "float64": ("double_val", 6),
    "string": ("string_val", 8),
    "int64": ("int64_val", 10),
    "bool": ("bool_val", 11),
    "float16": ("half_val", 13),
    "bfloat16": ("half_val", 13),
    "uint32": ("uint32_val", 16),
    "uint64": ("uint64_val", 17),
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), ("int_val", 7)),
}
_FIXED = {"float32": 5, "float64": 6, "bool": 11}
"""The fields whose packed values are the bytes of an array."""

FIXED_NAMES = {5: "float_val", 6: "double_val"}
"""The packed fields whose values take the same number of bytes each, whatever they are."""

_MOST_AXES = 64
_MOST_VALUES = 1 << 56
_MOST_FILLED_BYTES = 4 << 20


def decode_tensor(proto: Any, name: str, base: str = "$.inputs") -> Array:
    """Return a tensor as an array.

    Args:
        proto: A ``tensorflow.TensorProto``.
        name: Its name, for errors.
        base: The path of the tensors in the request, for errors.

    Returns:
        The array; strings as objects, `bytes`. It may be read-only and share the message's memory.

    Raises:
        RequestError: The shape is none, the dtype is none of a model's, or the content does not fit.
    """
    where = f"{base}.{name}"
    dtype = DTYPES.get(proto.dtype)
    if dtype is None:
        raise _refusal(name, where, f"one of {', '.join(DATA_TYPES)}", f"dtype {data_type_name(proto.dtype)}")
    shape, count = _shape_of(proto.tensor_shape, name, where)
    content = proto.tensor_content
    if content and count:
        return _from_content(content, dtype, shape, name=name, where=where)
    names = {number: key for key, number in DATA_TYPES.items()}
    values = getattr(proto, _VALUE_FIELDS[names[proto.dtype]][0])
    given = min(len(values), count)
    if given < count and (count - given) * dtype.itemsize > _MOST_FILLED_BYTES:
        raise _refusal(name, where, f"values for the shape {list(shape)}", f"{len(values)} values")
    if dtype.kind == "O":
        return _strings(values[:given], shape, count)
    array = _numbers(values if given == len(values) else values[:given], dtype)
    if given < count:
        filled = np.empty(count, dtype)
        filled[:given] = array
        filled[given:] = array[-1] if given else 0
        array = filled
    return array.reshape(shape)


def encode_tensor(array: Array, *, content: bool = False) -> bytes:
    """Return an array as the bytes of a ``TensorProto``.

    Args:
        array: The array; strings as objects, `bytes` or `str`.
        content: Whether numbers go into ``tensor_content`` instead of the field of their dtype.
    """
    known = dtype_of(array)
    prefix, number = tensor_prefix(known, array.shape), _FIXED.get(known)
    if not array.size:
        return prefix
    if known != "string" and (content or number is not None):
        return prefix + field(CONTENT_FIELD if content or number is None else number, raw(array))
    if known == "string":
        return prefix + b"".join([field(8, as_bytes(value)) for value in array.reshape(-1).tolist()])
    if known in ("float16", "bfloat16"):
        array = array.view(np.uint16)
    message = message_class("tensorflow.TensorProto")()
    getattr(message, _VALUE_FIELDS[known][0]).extend(array.reshape(-1).tolist())
    encoded: bytes = message.SerializeToString()
    return prefix + encoded


def fixed_head(dtype: str, shape: tuple[int, ...], *, content: bool) -> tuple[bytes, int] | None:
    """Return what stands before the bytes of an array in its `TensorProto`, and how many they are.

    Args:
        dtype: The dtype's name.
        shape: The shape.
        content: Whether numbers go into ``tensor_content``.

    Returns:
        None where the values are no mere copy of the array's memory, or where there are none.
    """
    number = CONTENT_FIELD if content and dtype != "string" else _FIXED.get(dtype)
    size = 0 if number is None else math.prod(shape) * np.dtype(dtype).itemsize
    if number is None or not size:
        return None
    return tensor_prefix(dtype, shape) + head(number, size), size


def tensor_prefix(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the dtype and the shape of a `TensorProto`."""
    axes = b"".join([field(2, number_field(1, size)) for size in shape])
    return number_field(1, DATA_TYPES[dtype]) + field(2, axes)


def dtype_of(array: Array) -> str:
    """Return the name that `core.DTYPES` has for an array's dtype."""
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def raw(array: Array) -> bytes:
    """Return the values of an array as TensorFlow has them in memory: row by row, the least byte first."""
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def as_bytes(value: bytes | str) -> bytes:
    """Return a string as bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def data_type_name(number: int) -> str:
    """Return what TensorFlow calls a dtype in its messages, such as ``complex64``."""
    values = message_class("tensorflow.TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number
    return values[number].name.removeprefix("DT_").lower() if number in values else str(number)


def _shape_of(shape: Any, name: str, where: str) -> tuple[tuple[int, ...], int]:
    # Only so many are looked at: the product of a million large numbers would take minutes.
    sizes = tuple([axis.size for axis in shape.dim[: _MOST_AXES + 1]])
    count = math.prod(sizes)
    is_shape = len(sizes) <= _MOST_AXES and all(size >= 0 for size in sizes)
    if shape.unknown_rank or not is_shape or math.prod([size or 1 for size in sizes]) > _MOST_VALUES:
        received = "an unknown rank" if shape.unknown_rank else f"shape {list(sizes[:16])}"
        raise _refusal(name, where, "a shape whose axes are all known", received)
    return sizes, count


def _from_content(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], *, name: str, where: str) -> Array:
    count = math.prod(shape)
    if dtype.kind == "O":
        return _strings(_split(content, count, name=name, where=where), shape, count)
    if len(content) != count * dtype.itemsize:
        raise _refusal(
            name, where, f"{count * dtype.itemsize} bytes for shape {list(shape)}", f"{len(content)} bytes of content"
        )
    values: Array = np.frombuffer(content, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(content, dtype)
    return values.reshape(shape)


def _split(content: bytes, count: int, *, name: str, where: str) -> list[bytes]:
    """Return the strings of a ``tensor_content``: the length of each, then all of them one after the other."""
    sizes, at = [], 0
    try:
        if count > len(content):
            raise MalformedError
        for _ in range(count):
            size, at = read_varint(content, at, len(content))
            sizes.append(size)
    except MalformedError as error:
        raise _refusal(name, where, f"the lengths of {count} strings", f"{len(content)} bytes of content") from error
    if at + sum(sizes) != len(content):
        raise _refusal(name, where, f"{at + sum(sizes)} bytes of content", f"{len(content)} bytes")
    strings = []
    for size in sizes:
        strings.append(content[at : at + size])
        at += size
    return strings


def _strings(values: Any, shape: tuple[int, ...], count: int) -> Array:
    array = np.empty(count, object)
    given = len(values)
    array[:given] = values
    array[given:] = values[-1] if given else b""
    return array.reshape(shape)


def _numbers(values: Any, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "b":
        return np.array(values, bool)
    if dtype.name in ("float16", "bfloat16"):
        return np.array(values, np.int64).astype(np.uint16).view(dtype)
    if dtype.itemsize < 4:
        return np.array(values, np.int64).astype(dtype)
    return np.array(values, dtype)


def _refusal(name: str, where: str, expected: str, received: str) -> RequestError:
    return RequestError(f"tensor parsing error: {name}", where=where, expected=expected, received=received)
