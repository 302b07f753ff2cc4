"""Tracing: what a user's functions compute, found by calling them once with JAX' tracers in place of the numbers.

A trace says nothing about whether the functions mean the same in Python: `verification` asks that.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.data.columns import Column
from mainstay.data.functions.flow import Flow, flow_of
from mainstay.data.functions.host_calls import AnotherCall, Made, TraceStage, make
from mainstay.data.functions.numpy_tracing import called
from mainstay.data.functions.opaque import Opaque, UntraceableError
from mainstay.data.functions.steps import Step, is_number, is_wide, scope
from mainstay.data.structures import Structure, flatten, map_structure, pack, skeleton_of
from mainstay.io import Ragged, staged_calls

NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}
"""What JAX makes of a dtype of 64 bits where it computes in 32."""

_MOST_CALLS = 100


@dataclass(frozen=True)
class Through:
    """A result that is a column untouched."""

    place: int


@dataclass(frozen=True)
class Computed:
    """A result of XLA: the number of the result, and whether it is computed in 64 bits."""

    index: int
    wide: bool


@dataclass(frozen=True)
class Constant:
    """A string that is the same for every element."""

    value: bytes


Leaf: TypeAlias = "Through | Computed | Constant"


@dataclass(frozen=True, eq=False)
class Trace:
    """What steps compute.

    Args:
        calls: The host calls, in order; their results follow the columns of the elements.
        numbers: The numbers of the columns that XLA may take.
        skeleton: The structure of a resulting element.
        leaves: Where each leaf of it comes from, in order.
        keep: Where the answer of a last filter comes from; None without one.
        narrow: All computed results as a closed jaxpr in 32 bits.
        wide: The same in 64 bits; None where no result needs it.
        flows: What each result of `narrow` depends on, as positions in `numbers`.
        is_numpy: Whether a step calls NumPy's functions, whose dtypes then hold.
    """

    calls: tuple[Made, ...]
    numbers: tuple[int, ...]
    skeleton: Structure
    leaves: tuple[Leaf, ...]
    keep: Leaf | None
    narrow: Any
    wide: Any
    flows: tuple[Flow, ...]
    is_numpy: bool


@dataclass(frozen=True, eq=False)
class _Once:
    """What one trace found: `leaves` holds an `Opaque`, a `Constant`, or None for a result of the jaxpr."""

    skeleton: Structure
    leaves: tuple[Any, ...]
    closed: Any
    is_numpy: bool


def trace(steps: Sequence[Step], skeleton: Structure, columns: Sequence[Column]) -> Trace:
    """Return what steps compute of an element.

    Args:
        steps: The steps; only the last may be a filter.
        skeleton: The structure of the elements.
        columns: Some rows of each column; the host calls are made for them.

    Raises:
        UntraceableError: They cannot be traced; the message says why.
    """
    columns = list(columns)
    made: list[Made] = []
    while True:
        try:
            once = _trace(steps, skeleton, columns, made=made, wide=False)
            break
        except AnotherCall as another:
            if len(made) == _MOST_CALLS:
                raise UntraceableError("it calls host functions without an end") from None
            found, results = make(another.call, columns)
            made.append(found)
            columns = [*columns, *results]
    numbers = tuple(index for index, column in enumerate(columns) if is_number(column))
    flows = () if once.closed is None else tuple(flow_of(once.closed))
    needs = {position for position, place in enumerate(numbers) if is_wide(columns[place])}
    deep = [flow.same is None and not needs.isdisjoint(flow.inputs) for flow in flows]
    wide = _trace(steps, skeleton, columns, made=made, wide=True) if any(deep) else None
    if wide is not None and (wide.skeleton != once.skeleton or len(wide.closed.out_avals) != len(flows)):
        raise UntraceableError("its structure depends on the dtypes")
    leaves = _leaves(once, flows, deep, numbers)
    filtered = steps[-1].is_filter
    return Trace(
        calls=tuple(made),
        numbers=numbers,
        skeleton=once.skeleton,
        leaves=leaves[:-1] if filtered else leaves,
        keep=leaves[-1] if filtered else None,
        narrow=once.closed,
        wide=wide and wide.closed,
        flows=flows,
        is_numpy=once.is_numpy,
    )


def _leaves(once: _Once, flows: Sequence[Flow], deep: Sequence[bool], numbers: Sequence[int]) -> tuple[Leaf, ...]:
    leaves: list[Leaf] = []
    index = 0
    for leaf in once.leaves:
        if isinstance(leaf, Opaque):
            leaves.append(Through(leaf.place))
        elif isinstance(leaf, Constant):
            leaves.append(leaf)
        else:
            same = flows[index].same
            leaves.append(Computed(index, deep[index]) if same is None else Through(numbers[same]))
            index += 1
    return tuple(leaves)


def _trace(
    steps: Sequence[Step], skeleton: Structure, columns: Sequence[Column], *, made: Sequence[Made], wide: bool
) -> _Once:
    numbers = [index for index, column in enumerate(columns) if is_number(column)]
    width = len(columns) - sum(call.count for call in made)
    found: dict[str, Any] = {}

    def flat(*tracers: Any) -> tuple[Any, ...]:
        values: list[Any] = [Opaque(index) for index in range(len(columns))]
        for index, tracer in zip(numbers, tracers, strict=True):
            values[index] = tracer
        with staged_calls(TraceStage(values, made)):
            element, keep, found["is_numpy"] = _run(steps, pack(skeleton, values[:width]))
        found["skeleton"] = skeleton_of(element)
        leaves = [*flatten(element), *([keep] if steps[-1].is_filter else [])]
        found["leaves"] = tuple(leaf if isinstance(leaf, (Opaque, Constant)) else None for leaf in leaves)
        return tuple(leaf for leaf in leaves if not isinstance(leaf, (Opaque, Constant)))

    try:
        # Where nothing is computed from numbers, JAX is not even imported.
        results = flat(*(Opaque(index) for index in numbers))
    except Exception as error:
        if not numbers:
            raise _reason(error) from error
    else:
        if not results:
            return _Once(found["skeleton"], found["leaves"], None, found["is_numpy"])
        if not numbers:
            raise UntraceableError("it computes nothing from numbers of the element")
    closed = _closed(flat, [columns[index] for index in numbers], wide=wide)
    return _Once(found["skeleton"], found["leaves"], closed, found["is_numpy"])


def _closed(flat: Any, columns: Sequence[np.ndarray[Any, Any]], *, wide: bool) -> Any:
    import jax

    specs = [jax.ShapeDtypeStruct(column.shape[1:], dtype_in(column.dtype, wide=wide)) for column in columns]
    try:
        with scope(wide=wide), without_updates():
            closed = jax.make_jaxpr(flat)(*specs)
    except Exception as error:
        raise _reason(error) from error
    if closed.effects:
        raise UntraceableError("it has effects, such as printing or calling back")
    return closed


def dtype_in(dtype: np.dtype[Any], *, wide: bool) -> np.dtype[Any]:
    """Return the dtype in which JAX takes numbers, in 32 or 64 bits."""
    return dtype if wide else np.dtype(NARROW.get(dtype.name, dtype))


def _reason(error: Exception) -> UntraceableError:
    if isinstance(error, UntraceableError):
        return error
    lines = str(error).strip().splitlines() or [""]
    return UntraceableError(f"JAX cannot trace it: {type(error).__name__}: {lines[0]}")


@contextmanager
def without_updates() -> Iterator[None]:
    """Refuse functions that change Keras' variables, which a trace would fill with tracers; they stay as they were."""
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "StatelessScope"):
        yield
        return
    with keras.StatelessScope() as changes:
        yield
    if changes.state_mapping:
        raise UntraceableError("it changes variables, such as the seed of a random layer")


def _run(steps: Sequence[Step], element: Structure) -> tuple[Structure, Any, bool]:
    """Return the element that steps make of tracers, the answer of a last filter, and whether NumPy is called."""
    is_numpy = False
    for step in steps:
        result, with_numpy = called(step.function, element)
        is_numpy |= with_numpy
        if step.is_filter:
            return element, _answer(result), is_numpy
        element = _sealed(_traced(result))
    return element, None, is_numpy


def _sealed(element: Structure) -> Structure:
    """Return an element that XLA computes as it stands, whatever follows.

    So the functions give the same bits together, alone, and in front of a model.
    """

    def seal(leaf: Any) -> Any:
        if not _is_array(leaf):
            return leaf
        import jax

        return jax.lax.optimization_barrier(leaf)

    return map_structure(seal, element)


def _is_array(leaf: Any) -> bool:
    return not isinstance(leaf, (Opaque, Constant))


def _answer(result: Any) -> Any:
    import jax.numpy as jnp

    answer = _leaf(result)
    if isinstance(answer, (Opaque, Constant)) or np.shape(answer) != ():
        raise UntraceableError("the answer of a filter is no single number or boolean")
    return jnp.asarray(answer) != 0


def _traced(result: Any) -> Structure:
    """Return what a function gave as an element, by the rules of `values.as_element`."""
    if isinstance(result, tuple):
        items = [_traced(item) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else tuple(items)
    if isinstance(result, Mapping):
        return {key: _traced(item) for key, item in result.items()}
    return None if result is None else _leaf(result)


def _leaf(value: Any) -> Any:
    if isinstance(value, (Opaque, Constant)):
        return value
    if isinstance(value, (str, bytes)):
        return Constant(value.encode() if isinstance(value, str) else bytes(value))
    if isinstance(value, Ragged):
        raise UntraceableError("it returns a list of its own")
    import jax
    import jax.numpy as jnp

    if isinstance(value, list):
        leaves = [_leaf(item) for item in value]
        if not leaves or any(isinstance(leaf, (Opaque, Constant)) for leaf in leaves):
            raise UntraceableError("it makes an array of strings")
        return jnp.stack([jnp.asarray(leaf) for leaf in leaves])
    if isinstance(value, (bool, int, float)):
        from mainstay.data.functions.values import as_leaf

        return jnp.asarray(as_leaf(value))
    array = value if isinstance(value, jax.Array) else jnp.asarray(value)
    if array.weak_type and array.dtype.name in NARROW:
        return array.astype(NARROW[array.dtype.name])
    if jnp.issubdtype(array.dtype, jax.dtypes.extended):
        raise UntraceableError("it returns a key of random numbers")
    return array


def replay(steps: Sequence[Step], skeleton: Structure, values: Sequence[Any], found: Trace) -> list[Any]:
    """Return the computed results of steps on other arrays than they were traced with, while JAX traces.

    Args:
        steps: The steps; none is a filter.
        skeleton: The structure of the elements.
        values: An array for each column that is one, an `Opaque` for the others.
        found: What the steps were found to compute.

    Raises:
        UntraceableError: They do something else for these arrays.
    """
    width = len(values) - sum(made.count for made in found.calls)
    try:
        with staged_calls(TraceStage(values, found.calls)):
            element, _, _ = _run(steps, pack(skeleton, values[:width]))
    except AnotherCall as error:
        raise UntraceableError("it calls other host functions for batches of another size") from error
    except Exception as error:
        raise _reason(error) from error
    if skeleton_of(element) != found.skeleton:
        raise UntraceableError("its structure depends on the size of the batch")
    return [leaf for leaf in flatten(element) if _is_array(leaf)]
