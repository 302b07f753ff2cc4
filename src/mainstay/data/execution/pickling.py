"""The one place where objects are pickled: on their way through a private socket between processes of ours.

Nothing that comes from outside, from a file or from a network, may ever be read with this.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle

_PROTOCOL = 5


def to_bytes(value: Any) -> bytes:
    """Return plain values as bytes."""
    return pickle.dumps(value, _PROTOCOL)


def from_bytes(data: Any) -> Any:
    """Return what `to_bytes` or `by_value` wrote, in a process of ours."""
    return pickle.loads(data)


def by_value(value: Any) -> bytes:
    """Return a value as bytes: functions and classes that no module has travel with their code.

    Raises:
        Exception: It cannot be pickled.
    """
    return bytes(cloudpickle.dumps(value, _PROTOCOL))


def with_buffers(value: Any) -> tuple[bytes, list[Any]]:
    """Return a value as `by_value` does, with its large arrays apart, as views that are not copied.

    Raises:
        Exception: It cannot be pickled.
    """
    buffers: list[Any] = []
    data = cloudpickle.dumps(value, _PROTOCOL, buffer_callback=lambda buffer: buffers.append(buffer.raw()))
    return bytes(data), buffers


def of_buffers(data: Any, buffers: Sequence[Any]) -> Any:
    """Return what `with_buffers` took apart."""
    return pickle.loads(data, buffers=buffers)


class _Knowing(cloudpickle.Pickler):
    def __init__(self, stream: io.BytesIO, known: Any) -> None:
        super().__init__(stream, _PROTOCOL)
        self._known = known

    def persistent_id(self, value: Any) -> str | None:
        return "known" if value is self._known else None


class _Recalling(pickle.Unpickler):
    def __init__(self, data: bytes, known: Any) -> None:
        super().__init__(io.BytesIO(data))
        self._known = known

    def persistent_load(self, name: Any) -> Any:
        return self._known


def method_to_bytes(method: Callable[..., Any], known: Any) -> bytes:
    """Return a method of something that the other process has too, without that thing.

    Raises:
        Exception: It cannot be pickled.
    """
    stream = io.BytesIO()
    _Knowing(stream, known).dump(method)
    return stream.getvalue()


def method_from_bytes(data: bytes, known: Any) -> Any:
    """Return the method of `known` that `method_to_bytes` wrote."""
    return _Recalling(data, known).load()
