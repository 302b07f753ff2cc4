"""Python's built-in functions for traced arguments; with other arguments they are Python's own."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.framework.autograph.iteration import Enumerated, Range, Zipped, staged
from mainstay.framework.autograph.staging import is_traced, plain


def _traced_leaves(*values: Any) -> bool:
    return any(is_traced(leaf) for leaf in jax.tree.leaves(values))


def _range(*bounds: Any) -> Any:
    if not any(map(is_traced, bounds)):
        return range(*(plain(item) for item in bounds))
    start, stop, step = {1: (0, *bounds, 1), 2: (*bounds, 1)}.get(len(bounds), bounds)
    return Range(plain(start), plain(stop), plain(step))


def _enumerate(iterable: Any, start: Any = 0) -> Any:
    items = staged(iterable)
    return enumerate(iterable, start) if items is None else Enumerated(items, plain(start))


def _zip(*iterables: Any, strict: bool = False) -> Any:
    parts = [staged(item) for item in iterables]
    found = tuple(part for part in parts if part is not None)
    return Zipped(found, strict) if found and len(found) == len(parts) else zip(*iterables, strict=strict)


def _number(kind: type, dtype: Any) -> Callable[..., Any]:
    def convert(*arguments: Any) -> Any:
        if len(arguments) == 1 and is_traced(arguments[0]):
            array = jnp.asarray(plain(arguments[0]))
            if array.size != 1:
                raise TypeError(f"only an array of one element becomes {kind.__name__}; received shape {array.shape}")
            return jnp.reshape(array, ()).astype(dtype)
        return kind(*arguments)

    return convert


def _print(*values: Any, **options: Any) -> None:
    if not _traced_leaves(*values):
        print(*values, **options)
        return
    leaves, structure = jax.tree.flatten([plain(value) for value in values])
    dynamic = {index: plain(leaf) for index, leaf in enumerate(leaves) if is_traced(leaf)}

    def show(arrays: dict[int, Any]) -> None:
        filled = [arrays.get(index, leaf) for index, leaf in enumerate(leaves)]
        print(*jax.tree.unflatten(structure, filled), **options)

    jax.debug.callback(show, dynamic)


def _len(value: Any) -> int:
    return len(plain(value))


def _extreme(builtin: Callable[..., Any], pair: Callable[..., Any], rows: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*values: Any, **options: Any) -> Any:
        if options or not _traced_leaves(*values):
            return builtin(*values, **options)
        if len(values) == 1 and is_traced(values[0]):
            array = plain(values[0])
            if array.ndim != 1:
                raise TypeError(f"{builtin.__name__}() of one tensor needs a vector; received shape {array.shape}")
            return rows(array)
        items = [plain(item) for item in (values[0] if len(values) == 1 else values)]
        return functools.reduce(pair, items)

    return extreme


def _sum(values: Any, /, start: Any = 0) -> Any:
    if is_traced(values):
        return jnp.sum(plain(values), axis=0) + start
    return sum(values, start)


def _quantifier(rows: Callable[..., Any], pair: Callable[..., Any], ends: bool) -> Callable[[Any], Any]:
    """Return `any`, which ends at a true item, or `all`, which ends at a false one."""

    def quantifier(values: Iterable[Any]) -> Any:
        if is_traced(values):
            return rows(plain(values))
        result: Any = not ends
        for value in values:
            if is_traced(value):
                truth = jnp.asarray(plain(value)).astype(bool)
                result = truth if isinstance(result, bool) else pair(result, truth)
            elif bool(value) is ends:
                return ends
        return result

    return quantifier


def _sorted(values: Any, /, *, key: Any = None, reverse: bool = False) -> Any:
    if key is None and is_traced(values):
        return jnp.sort(plain(values), axis=0, descending=reverse)
    return sorted(values, key=key, reverse=reverse)


def _abs(value: Any) -> Any:
    return abs(plain(value))


_OVERLOADS: dict[Any, Callable[..., Any]] = {
    builtins.range: _range,
    builtins.enumerate: _enumerate,
    builtins.zip: _zip,
    builtins.int: _number(int, jnp.int32),
    builtins.float: _number(float, jnp.float32),
    builtins.bool: _number(bool, jnp.bool_),
    builtins.print: _print,
    builtins.len: _len,
    builtins.abs: _abs,
    builtins.max: _extreme(max, jnp.maximum, jnp.max),
    builtins.min: _extreme(min, jnp.minimum, jnp.min),
    builtins.sum: _sum,
    builtins.any: _quantifier(jnp.any, jnp.logical_or, True),
    builtins.all: _quantifier(jnp.all, jnp.logical_and, False),
    builtins.sorted: _sorted,
}


def overload_of(function: Any) -> Callable[..., Any] | None:
    """Return what is called in place of a built-in function, or None."""
    try:
        return _OVERLOADS.get(function)
    except TypeError:  # not hashable
        return None
