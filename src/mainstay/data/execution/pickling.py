"""The one place where objects are pickled: on their way through a private socket between processes of ours.

Nothing that comes from outside, from a file or from a network, may ever be read with this.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle

_PROTOCOL = 5


class _Pickler(cloudpickle.Pickler):
    """Sends by value what the other process could not import, such as the functions of a test or of a plugin."""

    def __init__(self, stream: io.BytesIO, **settings: Any) -> None:
        super().__init__(stream, _PROTOCOL, **settings)
        self._registered: list[ModuleType] = []

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (FunctionType, type)):
            name = getattr(value, "__module__", None)
            module = sys.modules.get(name) if isinstance(name, str) else None
            if module is not None and name != "__main__" and not _can_be_imported(name):
                cloudpickle.register_pickle_by_value(module)
                self._registered.append(module)
        return super().reducer_override(value)

    def dump(self, value: Any) -> None:
        try:
            super().dump(value)
        finally:
            for module in {id(module): module for module in self._registered}.values():
                cloudpickle.unregister_pickle_by_value(module)


@cache
def _can_be_imported(name: str) -> bool:
    """Return whether another process with the same path would find a module under its name."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return module is not None
    parent = name.rpartition(".")[0]
    if parent and not _can_be_imported(parent):
        return False
    path = getattr(sys.modules[parent], "__path__", None) if parent else None
    # Not importlib.util.find_spec: that believes what is imported already, wherever it came from.
    found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    spec = next((spec for spec in found if spec is not None), None)
    return spec is not None and spec.origin in (file, "frozen")


def _dumped(pickler: Callable[[io.BytesIO], _Pickler], value: Any) -> bytes:
    stream = io.BytesIO()
    pickler(stream).dump(value)
    return stream.getvalue()


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
    return _dumped(_Pickler, value)


def with_buffers(value: Any) -> tuple[bytes, list[Any]]:
    """Return a value as `by_value` does, with its large arrays apart, as views that are not copied.

    Raises:
        Exception: It cannot be pickled.
    """
    buffers: list[Any] = []

    def keep(buffer: pickle.PickleBuffer) -> None:
        buffers.append(buffer.raw())

    return _dumped(lambda stream: _Pickler(stream, buffer_callback=keep), value), buffers


def of_buffers(data: Any, buffers: Sequence[Any]) -> Any:
    """Return what `with_buffers` took apart."""
    return pickle.loads(data, buffers=buffers)


class _Knowing(_Pickler):
    def __init__(self, stream: io.BytesIO, known: Any) -> None:
        super().__init__(stream)
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
    return _dumped(lambda stream: _Knowing(stream, known), method)


def method_from_bytes(data: bytes, known: Any) -> Any:
    """Return the method of `known` that `method_to_bytes` wrote."""
    return _Recalling(data, known).load()
