"""Everything that this room takes from inside Keras, in one file: thread-wide settings and reads of variables."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import keras
from keras.src import backend
from keras.src.backend import config as keras_config
from keras.src.backend import core as backend_core
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.backend.common.variables import Variable as _CommonVariable
from keras.src.random import seed_generator

from mainstay.core import ModelError
from mainstay.framework.arrivals import owned

ReadObserver = Callable[[Any, Any], Any]
"""Called with a variable and the value that is about to be read, before any cast to the compute dtype.

What it returns, unless None, becomes the variable's value first: a tape unties a variable from the result it was
assigned from.
"""


class _Observed(threading.local):
    observers: tuple[ReadObserver, ...] = ()


_observed = _Observed()
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
    _observed.observers = (*_observed.observers, observer)


def stop_observing(observer: ReadObserver) -> None:
    """Undo `observe_reads`."""
    _observed.observers = tuple(item for item in _observed.observers if item != observer)


def _value(self: Any) -> Any:
    # On every read of every variable of the process: with no observer it must cost next to nothing.
    if _observed.observers:
        _report(self)
    return _original_value(self)


def _report(variable: Any) -> None:
    for observer in _observed.observers:
        value = raw_value(variable)
        if value is not None:
            replacement = observer(variable, value)
            if replacement is not None:
                replace_value(variable, replacement)


def replace_value(variable: Any, value: Any) -> None:
    """Put another object with the same numbers in the place of a variable's value."""
    scope = get_stateless_scope()
    if scope is None:
        variable._value = value
    else:
        scope.add_update((variable, value))


_CommonVariable.value = property(_value, doc=_CommonVariable.value.__doc__)


def set_stateless_scope(scope: keras.StatelessScope | None) -> None:
    """Make `scope` the running stateless scope of this thread, or none."""
    global_state.set_global_attribute("stateless_scope", scope)


def stateless_scope() -> Any:
    """Return the running stateless scope of this thread, or None."""
    return get_stateless_scope()


@contextmanager
def unobserved() -> Iterator[None]:
    """Run the body as if nothing observed the reads of this thread."""
    observers = _observed.observers
    _observed.observers = ()
    try:
        yield
    finally:
        _observed.observers = observers


def read_uncast(variable: Any) -> Any:
    """Return the value of a variable as `raw_value` does, and let the observers know that it was read."""
    if _observed.observers:
        _report(variable)
    return raw_value(variable)


def keras_settings() -> tuple[Any, ...]:
    """Return the settings of Keras that a traced program depends on: distribution, dtype policy, autocast, float."""
    settings = thread_settings()
    policy, autocast = settings.get("dtype_policy"), settings.get("autocast_scope")
    return (
        settings.get("distribution"),
        None if policy is None else policy.name,
        None if autocast is None else autocast.dtype,
        keras_config._FLOATX,
    )


CreationObserver = Callable[[Any], None]
"""Called with a variable that was just made."""

_original_init = _CommonVariable.__init__


def _init(self: Any, initializer: Any, shape: Any = None, dtype: Any = None, *args: Any, **kwargs: Any) -> None:
    observer = getattr(get_stateless_scope(), "add_created", None)
    if observer is None:
        _original_init(self, initializer, shape, dtype, *args, **kwargs)
        return
    if not callable(initializer) and not isinstance(initializer, str):
        # Keras refuses values in a stateless scope, since it cannot tell a constant from a traced one; a function can.
        with jax.ensure_compile_time_eval():
            value = self._convert_to_tensor(initializer, dtype=dtype)
        if isinstance(value, jax.core.Tracer):
            raise ModelError(
                "the initial value of a variable depends on the arguments of the function that creates it",
                expected="a value that is known before the function runs",
                received=f"a traced value of shape {value.shape} and dtype {value.dtype}",
                fix="create the variable with zeros, and assign the value to it",
            )
        initializer, shape, dtype = (lambda shape, dtype: value), value.shape, value.dtype
    _original_init(self, initializer, shape, dtype, *args, **kwargs)
    observer(self)


_CommonVariable.__init__ = functools.wraps(_original_init)(_init)


def global_seed_generator() -> Any:
    """Return the generator that `keras.random` draws from without a seed, also while a function is traced."""
    scope = get_stateless_scope()
    if not hasattr(scope, "uses_global_seed"):
        return _original_global_seed_generator()
    scope.uses_global_seed = True
    return current_seed_generator()


def current_seed_generator() -> Any:
    """Return the global seed generator of this thread; one is made where there is none."""
    settings = thread_settings()
    generator = settings.get(seed_generator.GLOBAL_SEED_GENERATOR)
    if generator is None:
        generator = settings[seed_generator.GLOBAL_SEED_GENERATOR] = keras.random.SeedGenerator()
    return generator


_original_global_seed_generator = seed_generator.global_seed_generator
seed_generator.global_seed_generator = global_seed_generator


def call_settings() -> tuple[Any, ...]:
    """Return what `keras_settings` comes from, unread and in less time: first the stateless scope, then autocast."""
    get = global_state.GLOBAL_STATE_TRACKER.__dict__.get
    return (
        get("stateless_scope"),
        get("autocast_scope"),
        get("distribution"),
        get("dtype_policy"),
        keras_config._FLOATX,
    )


def replace_cond(function: Callable[..., Any]) -> None:
    """Put a function in the place of what `keras.ops.cond` calls."""
    backend_core.cond = function


# Functions of Keras that hand a variable to JAX as it is, which refuses it.
_WITHOUT_VARIABLES = {
    "numpy": (
        *("all", "amax", "amin", "any", "argpartition", "count_nonzero", "empty_like", "full_like", "geomspace"),
        *("hstack", "linspace", "logspace", "nan_to_num", "ones_like", "outer", "rot90", "vstack", "zeros_like"),
    ),
    "nn": ("celu", "elu", "leaky_relu", "moments", "squareplus"),
    "core": ("unstack",),
    "math": ("top_k",),
    "linalg": ("matrix_rank", "pinv"),
}


def _take_variables(place: Any, name: str) -> None:
    original = getattr(place, name)

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        values = {key: _read(value) for key, value in kwargs.items()}
        return original(*map(_read, args), **values)

    setattr(place, name, function)


def _read(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_read, value)) if any(map(is_variable, value)) else value
    return value.value if is_variable(value) else value


for _place, _names in _WITHOUT_VARIABLES.items():
    for _name in _names:
        _take_variables(getattr(backend, _place), _name)

# NumPy would otherwise compute `array * variable` by itself: without a gradient, and not at all while tracing.
_CommonVariable.__array_priority__ = 100

_original_convert = backend_core.convert_to_tensor


@functools.wraps(_original_convert)
def _convert_to_tensor(x: Any, *args: Any, **kwargs: Any) -> Any:
    return _original_convert(owned(x), *args, **kwargs)


for _place in (backend, backend.core, backend.image, backend.linalg, backend.math, backend.nn, backend.numpy):
    _place.convert_to_tensor = _convert_to_tensor
