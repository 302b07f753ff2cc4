"""Predict responses: what stays the same from one answer to the next is worked out once for each shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import RequestError, Signature
from mainstay.serving.grpc.tensor_proto import dtype_of, encode_tensor, fixed_head, raw
from mainstay.serving.grpc.wire import field, head, varint

Array: TypeAlias = np.ndarray[Any, Any]

_MOST_SHAPES = 512


class ResponseWriter:
    """Writes the responses of one signature of one version.

    Args:
        spec: The bytes of the ``ModelSpec`` of all its responses.
        outputs: The names of the outputs, in the order in which they are written.
        content: Whether numbers go into ``tensor_content`` instead of the field of their dtype.
    """

    __slots__ = ("_content", "_heads", "_names", "_only", "_spec")

    def __init__(self, spec: bytes, outputs: Sequence[str], *, content: bool) -> None:
        self._spec = field(2, spec)
        self._names = tuple(outputs)
        self._only = self._names[0] if len(self._names) == 1 else None
        self._content = content
        self._heads: dict[Any, bytes] = {}

    def write(self, arrays: Mapping[str, Array]) -> tuple[bytes, ...]:
        """Return a response in parts that belong one after the other."""
        if self._only is not None:
            array = arrays[self._only]
            known = self._heads.get((array.shape, array.dtype))
            if known is not None:
                return known, array.tobytes(), self._spec
        parts: list[bytes] = []
        for name in self._names:
            parts += self._entry(name, arrays[name])
        parts.append(self._spec)
        return tuple(parts)

    def _entry(self, name: str, array: Array) -> tuple[bytes, ...]:
        """Return one output, as an entry of the map of all."""
        key = (array.shape, array.dtype) if self._only is not None else (name, array.shape, array.dtype)
        known = self._heads.get(key)
        if known is not None:
            return known, array.tobytes()
        fixed = None
        if array.dtype.kind != "O":
            fixed = fixed_head(dtype_of(array), array.shape, content=self._content)
        named = field(1, name.encode())
        if fixed is None:
            return (field(1, named + field(2, encode_tensor(array, content=self._content))),)
        prefix, size = fixed
        value = head(2, len(prefix) + size) + prefix
        start = head(1, len(named) + len(value) + size) + named + value
        if array.dtype.byteorder != ">":
            if len(self._heads) >= _MOST_SHAPES:
                self._heads.clear()
            self._heads[key] = start
        return start, raw(array)


def model_spec(model: str, version: int, signature: str = "") -> bytes:
    """Return the bytes of the ``ModelSpec`` of a response.

    Args:
        model: The model's name.
        version: The version that answered.
        signature: The signature that answered; none for an answer about the whole model.
    """
    number = varint(1 << 3) + varint(version) if version else b""
    named = field(3, signature.encode()) if signature else b""
    return field(1, model.encode()) + field(2, number) + named


def filtered(signature: Signature, outputs: Sequence[str]) -> tuple[str, ...]:
    """Return the outputs that a response has: those that were asked for, or all.

    Raises:
        RequestError: One of them is none of the signature's, or comes twice.
    """
    names = [spec.name for spec in signature.outputs]
    seen = set()
    for name in outputs:
        if name not in names:
            raise RequestError(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{','.join(sorted(names))}}}."
            )
        if name in seen:
            raise RequestError(f"duplicate output tensor alias: {name}")
        seen.add(name)
    return tuple(outputs) or tuple(sorted(names))
