"""NumPy's functions while JAX traces: numbers that NumPy takes, and that hand what it would do to `jax.numpy`.

Only what means the same in both is let through, for every number and not only for those of a sample. So what NumPy
and XLA answer differently ends the trace: integer division by what may be zero, casts of floats to integers, indices
that are computed, orders of equal elements. So does everything that would change an array in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mainstay.data.functions.opaque import UntraceableError
from mainstay.data.functions.steps import call
from mainstay.data.structures import Structure, map_structure


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UFUNCS = _names(
    "absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_not bitwise_or bitwise_xor "
    "cbrt ceil cos cosh deg2rad divide equal exp exp2 expm1 fabs floor floor_divide fmax fmin greater greater_equal "
    "hypot invert isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not "
    "logical_or logical_xor matmul maximum minimum multiply negative not_equal positive power rad2deg reciprocal "
    "remainder rint sign sin sinh sqrt square subtract tan tanh trunc"
)
_FUNCTIONS = _names(
    "all amax amin any argmax argmin atleast_1d atleast_2d broadcast_to clip concatenate cumsum diff dot einsum "
    "expand_dims flip fliplr flipud full_like hstack max mean min moveaxis ndim ones_like outer pad prod ptp ravel "
    "repeat reshape roll rot90 round shape size sort squeeze stack std sum swapaxes tensordot tile transpose tril triu "
    "var vstack where zeros_like"
)
_METHODS = _names(
    "all any argmax argmin clip cumsum dot max mean min prod ravel repeat reshape round squeeze std sum swapaxes "
    "transpose var"
)
_DIVISIONS = ("floor_divide", "remainder", "reciprocal")


def called(function: Callable[..., Any], element: Structure) -> tuple[Any, bool]:
    """Return what a function makes of tracers, and whether it calls NumPy.

    Args:
        function: The user's function.
        element: Tracers, and what stands for strings and lists, in a structure.
    """
    try:
        return call(function, element), False
    except TypeError as error:
        if type(error).__name__ != "TracerArrayConversionError":
            raise
    return _open(call(function, map_structure(_wrap, element))), True


class NumpyTracer(np.lib.mixins.NDArrayOperatorsMixin):
    """A tracer that NumPy's functions and operators take, by NumPy's rules.

    Args:
        tracer: What JAX traces.
    """

    __slots__ = ("tracer",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if method != "__call__" or kwargs or name not in _UFUNCS:
            raise UntraceableError(f"it calls numpy.{name} in a way that only NumPy has")
        is_whole = all(_dtype(value).kind in "biu" for value in args)
        if is_whole and (name == "power" or (name in _DIVISIONS and not _is_safe(args[-1]))):
            raise UntraceableError(f"numpy.{name} of integers may divide by zero")
        return _apply(_of_jax(name), args, {})

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function.__module__ != "numpy" or function.__name__ not in _FUNCTIONS:
            raise UntraceableError(f"it calls {function.__module__}.{function.__name__}, which only NumPy has")
        return _apply(_of_jax(function.__name__), args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "size", "dtype"):
            return getattr(self.tracer, name)
        if name == "T":
            return NumpyTracer(self.tracer.T)
        if name not in _METHODS:
            raise UntraceableError(f"it uses the attribute {name!r} of an array")
        return lambda *args, **kwargs: _apply(getattr(self.tracer, name), args, kwargs)

    def astype(self, dtype: Any) -> NumpyTracer:
        """Return the numbers in another dtype."""
        wanted = _checked(dtype)
        if self.dtype.kind == "f" and wanted.kind in "iu":
            raise UntraceableError("it makes integers of floats, which is only the same where they fit")
        return NumpyTracer(self.tracer.astype(wanted))

    def copy(self) -> NumpyTracer:
        """Return the numbers."""
        return self

    def flatten(self) -> NumpyTracer:
        """Return the numbers along one axis."""
        return NumpyTracer(self.tracer.reshape(-1))

    def __getitem__(self, key: Any) -> NumpyTracer:
        parts = key if isinstance(key, tuple) else (key,)
        if not all(part is None or part is ... or type(part) in (int, slice) for part in parts):
            raise UntraceableError("it takes elements of an array at indices that are no plain numbers")
        return NumpyTracer(self.tracer[key])

    def __len__(self) -> int:
        return len(self.tracer)

    def __iter__(self) -> Iterator[NumpyTracer]:
        return (self[index] for index in range(len(self)))

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise UntraceableError("it looks at numbers, which are not known while it is traced")

    __array__ = __bool__ = __int__ = __float__ = __index__ = __complex__ = __str__ = __repr__ = __format__ = _refuse


def _of_jax(name: str) -> Callable[..., Any]:
    import jax.numpy as jnp

    function: Callable[..., Any] = getattr(jnp, name)
    return function


def _apply(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    if "out" in kwargs:
        raise UntraceableError("it writes into an array")
    if kwargs.get("dtype") is not None:
        _checked(kwargs["dtype"])
    result = function(*_open(list(args)), **{key: _open(value) for key, value in kwargs.items()})
    return NumpyTracer(result) if hasattr(result, "aval") else result


def _wrap(leaf: Any) -> Any:
    return NumpyTracer(leaf) if hasattr(leaf, "aval") else leaf


def _open(value: Any) -> Any:
    """Return a structure with tracers in place of what NumPy took."""
    if isinstance(value, NumpyTracer):
        return value.tracer
    if isinstance(value, (list, tuple)):
        items = [_open(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return {key: _open(item) for key, item in value.items()} if isinstance(value, dict) else value


def _dtype(value: Any) -> np.dtype[Any]:
    return np.dtype(value.dtype if isinstance(value, NumpyTracer) else np.asarray(value).dtype)


def _is_safe(divisor: Any) -> bool:
    return not isinstance(divisor, NumpyTracer) and bool(np.all(np.asarray(divisor) != 0))


def _checked(dtype: Any) -> np.dtype[Any]:
    import jax

    wanted: np.dtype[Any] = np.dtype(dtype)
    if jax.dtypes.canonicalize_dtype(wanted) != wanted:
        raise UntraceableError(f"it asks for {wanted.name}, and JAX computes in 32 bits")
    return wanted
