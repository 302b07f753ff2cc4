"""Everything that this room takes from inside Keras, in one file: thread-wide settings and reads of variables."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.backend.common.variables import Variable as _CommonVariable

ReadObserver = Callable[[Any, Any], None]
"""Called with a variable and the value that is about to be read, before any cast to the compute dtype."""

_observed = threading.local()
_original_value = _CommonVariable.value.fget


def is_variable(value: object) -> bool:
    """Return whether a value is a Keras variable, ours included."""
    return isinstance(value, _CommonVariable)


def thread_settings() -> dict[str, Any]:
    """Return Keras' settings of this thread as they are held: `stateless_scope`, `distribution`, `dtype_policy`, …"""
    settings: dict[str, Any] = global_state.GLOBAL_STATE_TRACKER.__dict__
    return settings


def raw_value(variable: Any) -> Any:
    """Return the value of a variable before any cast: the one of the running stateless scope, or its own."""
    scope = get_stateless_scope()
    value = None if scope is None else scope.get_current_value(variable)
    return variable._value if value is None else value


def observe_reads(observer: ReadObserver) -> None:
    """Call `observer` on every read of a variable in this thread, until `stop_observing`."""
    _observed.observers = (*getattr(_observed, "observers", ()), observer)


def stop_observing(observer: ReadObserver) -> None:
    """Undo `observe_reads`."""
    _observed.observers = tuple(item for item in getattr(_observed, "observers", ()) if item is not observer)


def _value(self: Any) -> Any:
    for observer in getattr(_observed, "observers", ()):
        value = raw_value(self)
        if value is not None:
            observer(self, value)
    return _original_value(self)


_CommonVariable.value = property(_value, doc=_CommonVariable.value.__doc__)


def set_stateless_scope(scope: keras.StatelessScope | None) -> None:
    """Make `scope` the running stateless scope of this thread, or none."""
    global_state.set_global_attribute("stateless_scope", scope)


def stateless_scope() -> Any:
    """Return the running stateless scope of this thread, or None."""
    return get_stateless_scope()
