"""If, Case and While: by `lax.cond`, `lax.switch` and `lax.while_loop` while XLA traces, else by Python itself.

Where the condition is known, only the branch that it chooses runs, so that its shapes may be other than those of the
rest. A loop whose values change their shape from turn to turn cannot be traced: it asks for its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import FormatError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import (
    TensorListValue,
    Value,
    ValueNeededError,
    is_known,
    is_symbolic,
)
from mainstay.saved_model.graphs.attributes import FunctionAttr


class Caller(Protocol):
    """What a node needs to run the functions that it calls."""

    @property
    def traced(self) -> bool:
        """Whether XLA is tracing."""

    def call(self, name: str, arguments: Sequence[Value]) -> Sequence[Value]:
        """Return what a function gives."""

    def constants(self, body: str) -> set[int]:
        """Return which arguments the body of a loop hands back untouched."""


_MOST_TURNS = 100_000_000


def _function(node: OpNode, name: str) -> str:
    function = node.attrs.get(name)
    if not isinstance(function, FunctionAttr):
        raise FormatError(f"{node.op} does not say what it calls", where=node.name, expected=name, received=function)
    return function.name


def _is_traced(value: Value) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value) if isinstance(leaf, jax.Array))


def _truth(value: Value) -> Any:
    """Return a condition as a scalar bool: numbers are true unless zero, strings unless empty."""
    if is_known(value):
        array = np.asarray(value)
        if array.ndim:
            return array.size > 0 if array.size != 1 else bool(array.reshape(())[()])
        return bool(array[()])
    return jnp.reshape(value, ()).astype(bool)


def as_carried(value: Value, kind: Any) -> Value:
    """Return a value as what XLA carries: an array of its dtype, or a list of arrays."""
    if isinstance(value, TensorListValue):
        return value
    if isinstance(kind, np.dtype):
        if is_symbolic(value):
            return jnp.stack([jnp.asarray(item, kind) for item in value.ravel().tolist()]).reshape(value.shape)
        return jnp.asarray(value, kind)
    raise ValueNeededError


def conditional(node: OpNode, inputs: Sequence[Value], caller: Caller) -> tuple[Value, ...]:
    """Compute If."""
    branches = [_function(node, "else_branch"), _function(node, "then_branch")]
    condition, arguments = _truth(inputs[0]), inputs[1:]
    if not _is_traced(condition):
        return tuple(caller.call(branches[int(bool(condition))], arguments))
    return _switch(node, condition.astype(np.int32), branches, arguments, caller)


def case(node: OpNode, inputs: Sequence[Value], caller: Caller) -> tuple[Value, ...]:
    """Compute Case: a branch index out of range means the last branch."""
    functions = node.attrs.get("branches", ())
    branches = [function.name for function in functions if isinstance(function, FunctionAttr)]
    if not branches:
        raise FormatError("Case does not say what it calls", where=node.name)
    index, arguments = inputs[0], inputs[1:]
    if not _is_traced(index):
        known = int(np.asarray(index).reshape(()))
        return tuple(caller.call(branches[known if 0 <= known < len(branches) else -1], arguments))
    last = len(branches) - 1
    chosen = jnp.where((index < 0) | (index > last), last, index).reshape(())
    return _switch(node, chosen, branches, arguments, caller)


def _switch(
    node: OpNode, index: Any, branches: Sequence[str], arguments: Sequence[Value], caller: Caller
) -> tuple[Value, ...]:
    def branch(name: str) -> Callable[[], tuple[Value, ...]]:
        return lambda: tuple(
            as_carried(value, kind) for value, kind in zip(caller.call(name, arguments), node.outputs, strict=True)
        )

    try:
        return tuple(lax.switch(index, [branch(name) for name in branches]))
    except TypeError as error:
        if isinstance(error, _CONCRETE):
            raise
        # Branches that differ in their shapes: which of them counts has to be known.
        raise ValueNeededError from error


_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def loop(node: OpNode, inputs: Sequence[Value], caller: Caller) -> tuple[Value, ...]:
    """Compute While."""
    condition, body = _function(node, "cond"), _function(node, "body")
    if not caller.traced:
        return _turn_by_turn(node, inputs, condition, body, caller)
    return _traced_loop(node, inputs, condition, body, caller)


def _turn_by_turn(
    node: OpNode, inputs: Sequence[Value], condition: str, body: str, caller: Caller
) -> tuple[Value, ...]:
    values = list(inputs)
    for _ in range(_MOST_TURNS):
        if not _truth(caller.call(condition, values)[0]):
            return tuple(values)
        values = list(caller.call(body, values))
    raise FormatError("a loop does not end", where=node.name, expected=f"at most {_MOST_TURNS:,} turns")


def _traced_loop(node: OpNode, inputs: Sequence[Value], condition: str, body: str, caller: Caller) -> tuple[Value, ...]:
    kinds = node.outputs
    constant = caller.constants(body) | {
        index for index, value in enumerate(inputs) if not isinstance(value, np.ndarray | jax.Array | TensorListValue)
    }
    carried = [index for index in range(len(inputs)) if index not in constant]

    def whole(carry: Sequence[Value]) -> list[Value]:
        values = list(inputs)
        for index, value in zip(carried, carry, strict=True):
            values[index] = value
        return values

    def turn(carry: tuple[Value, ...]) -> tuple[Value, ...]:
        results = caller.call(body, whole(carry))
        return tuple(as_carried(results[index], kinds[index]) for index in carried)

    def goes_on(carry: tuple[Value, ...]) -> Any:
        return jnp.asarray(_truth(caller.call(condition, whole(carry))[0]), bool)

    start = tuple(as_carried(inputs[index], kinds[index]) for index in carried)
    start = _with_element_shapes(start, turn)
    try:
        results = lax.while_loop(goes_on, turn, start)
    except TypeError as error:
        if isinstance(error, _CONCRETE):
            raise
        # A value that changes its shape from turn to turn.
        raise ValueNeededError from error
    return tuple(whole(results))


def _with_element_shapes(start: tuple[Value, ...], turn: Callable[..., Any]) -> tuple[Value, ...]:
    """Give lists that were reserved without a shape of their elements the shape that the first turn sets."""
    if not any(isinstance(value, TensorListValue) and value.stacked is None for value in start):
        return start
    first = jax.eval_shape(turn, start)
    filled = []
    for value, after in zip(start, first, strict=True):
        if isinstance(value, TensorListValue) and value.stacked is None and after.stacked is not None:
            stacked = jnp.zeros(after.stacked.shape, after.stacked.dtype)
            value = TensorListValue(after.dtype, after.length, stacked=stacked, element_shape=after.element_shape)
        filled.append(value)
    return tuple(filled)


CONTROL_FLOW: Mapping[str, Callable[[OpNode, Sequence[Value], Caller], tuple[Value, ...]]] = {
    "If": conditional,
    "StatelessIf": conditional,
    "Case": case,
    "StatelessCase": case,
    "While": loop,
    "StatelessWhile": loop,
}
