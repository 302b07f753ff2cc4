"""Initial values of variables without a compiled program for every shape: a model is built, and trains, sooner.

XLA compiles a program for each shape of each operation that runs outside of `jax.jit`. For the weights of a small
model that takes longer than everything else up to its first step.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mainstay.framework.jax_internals import current_trace, folds_constants, outside_of_traces, runs_eagerly
from mainstay.framework.kernels.switch import kernels_enabled

_LEAST_DRAWN = 1 << 18
"""So many numbers are drawn at least, which takes a millisecond, so that smaller shapes share one program."""

# The numbers are those of the usual level to the last bit; the program is compiled in a fraction of the time.
_QUICKLY = {"xla_backend_optimization_level": 1}


class _Creation(threading.local):
    trace: Any = None
    """Where the initialization of a variable runs. An initializer may start a trace of its own, which is left alone."""


_creation = _Creation()


def initialization_with(plain: Callable[..., None]) -> Callable[..., None]:
    """Return Keras' method that initializes a variable, in which zeros, ones and random numbers are made our way."""

    def initialize(self: Any, initializer: Any) -> None:
        known = kernels_enabled() and (runs_eagerly() or folds_constants())
        before, _creation.trace = _creation.trace, current_trace() if known else None
        try:
            plain(self, initializer)
        finally:
            _creation.trace = before

    return initialize


def filled_with(plain: Callable[..., Any], value: int, default_dtype: Callable[[], str]) -> Callable[..., Any]:
    """Return Keras' `zeros` or `ones`; in the initialization of a variable the array is filled by NumPy."""

    def filled(shape: Any, dtype: Any = None) -> Any:
        if _applies() and _is_known(shape):
            with outside_of_traces():
                return jax.device_put(np.full(shape, value, jax.dtypes.canonicalize_dtype(dtype or default_dtype())))
        return plain(shape, dtype)

    return filled


def uniform_with(
    plain: Callable[..., Any], draw_seed: Callable[[Any], Any], default_dtype: Callable[[], str]
) -> Callable[..., Any]:
    """Return Keras' `random.uniform`; in the initialization of a variable shapes share a program."""

    def uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        dtype, key = dtype or default_dtype(), draw_seed(seed)
        if _applies() and _is_known(shape) and _is_usual(dtype, key, minval, maxval):
            with outside_of_traces():
                return jax.device_put(_first(shape, _uniform, key, float(minval), float(maxval)))
        return plain(shape, minval, maxval, dtype, key)

    return uniform


def normal_with(
    plain: Callable[..., Any], draw_seed: Callable[[Any], Any], default_dtype: Callable[[], str], *, truncated: bool
) -> Callable[..., Any]:
    """Return Keras' `random.normal` or `random.truncated_normal`, as `uniform_with` does for `random.uniform`."""
    draw = _truncated if truncated else _normal

    def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        dtype, key = dtype or default_dtype(), draw_seed(seed)
        if _applies() and _is_known(shape) and _is_usual(dtype, key, mean, stddev):
            with outside_of_traces():
                sample = _first(shape, draw, key)
                return jax.device_put(sample * np.float32(stddev) + np.float32(mean))
        return plain(shape, mean, stddev, dtype, key)

    return normal


def _first(shape: tuple[int, ...], draw: Callable[..., jax.Array], key: jax.Array, *limits: float) -> Any:
    """Return numbers of this shape: the first ones of a longer row.

    With JAX's generator a number depends on the key and on its position alone, not on how many there are.
    """
    count = math.prod(shape)
    program = _program(draw, max(count, _LEAST_DRAWN), len(limits))
    row = np.asarray(program(np.asarray(key), *map(np.float32, limits)))
    # A view of a part would keep the whole row in memory for as long as the variable has its first value.
    return (row if count == row.size else row[:count].copy()).reshape(shape)


@functools.cache
def _program(draw: Callable[..., jax.Array], count: int, limits: int) -> Any:
    """Return a compiled draw of so many numbers; unlike `jax.jit`, the same one in every context of JAX."""
    function = jax.jit(functools.partial(draw, count=count), compiler_options=_QUICKLY)
    return function.lower(np.zeros(2, np.uint32), *[np.float32(0)] * limits).compile()


def _uniform(key: jax.Array, minval: jax.Array, maxval: jax.Array, *, count: int) -> jax.Array:
    return jax.random.uniform(key, (count,), np.float32, minval, maxval)


def _normal(key: jax.Array, *, count: int) -> jax.Array:
    return jax.random.normal(key, (count,), np.float32)


def _truncated(key: jax.Array, *, count: int) -> jax.Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, (count,), np.float32)


def _applies() -> bool:
    return _creation.trace is current_trace() and jax.sharding.get_abstract_mesh().empty


def _is_known(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(isinstance(size, int) for size in shape)


def _is_usual(dtype: Any, key: Any, *numbers: Any) -> bool:
    """Return whether these are `float32` numbers between given ones, from JAX's default generator on any device."""
    return (
        dtype == "float32"
        and all(isinstance(number, int | float) for number in numbers)
        and isinstance(key, jax.Array)
        and not isinstance(key, jax.core.Tracer)
        and key.dtype == np.uint32
        and key.shape == (2,)
        and not key.committed
        and jax.config.values["jax_default_prng_impl"] == "threefry2x32"
        and bool(jax.config.values["jax_threefry_partitionable"])
    )
