"""The scope of a trace: finds the variables that traced Python reads and writes."""

from __future__ import annotations

from typing import Any

import jax
import keras
from jax.extend import core as jex
from jax.interpreters import ad, batching, mlir

from mainstay.framework.keras_internals import set_stateless_scope, stateless_scope, thread_settings

# An identity: turns the concrete value of a variable into a tracer whose operand, a constant of the traced program, is
# found again by identity. Without it `float(variable)` would silently become a constant.
read_p = jex.Primitive("read_variable")
read_p.def_impl(lambda value: value)
read_p.def_abstract_eval(lambda value: value)
mlir.register_lowering(read_p, lambda context, value: [value])
ad.deflinear2(read_p, lambda cotangent, value: [cotangent])
batching.defvectorized(read_p)


class FunctionScope(keras.StatelessScope):
    """A stateless scope that lifts variables when they are first read, and remembers reads and writes.

    `state_mapping` (id of a variable → its current traced value), `reads` (id → (variable, concrete value at the first
    read)) and `writes` (id → variable) are what a trace needs; `snapshot` and `restore` let control flow trace a
    branch without keeping its effects.
    """

    def __init__(self) -> None:
        super().__init__(collect_losses=True)
        self.reads: dict[int, tuple[Any, Any]] = {}
        self.writes: dict[int, Any] = {}

    def get_current_value(self, variable: Any) -> Any:
        """Return the traced value of a variable, lifting it on its first read."""
        key = id(variable)
        value = self.state_mapping.get(key)
        if value is None:
            if variable._value is None:
                lift_initialization(variable)
            value = read_p.bind(variable._value)
            self.state_mapping[key] = value
            self.reads[key] = (variable, variable._value)
        return value

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take a new value of a variable."""
        variable, value = update
        self.state_mapping[id(variable)] = value
        self.writes[id(variable)] = variable

    def snapshot(self) -> tuple[dict[int, Any], dict[int, Any]]:
        """Return the values and writes as they are now."""
        return dict(self.state_mapping), dict(self.writes)

    def restore(self, snapshot: tuple[dict[int, Any], dict[int, Any]]) -> None:
        """Go back to an earlier `snapshot`."""
        self.state_mapping, self.writes = dict(snapshot[0]), dict(snapshot[1])


def current_scope() -> FunctionScope | None:
    """Return the scope of the running trace of this thread, or None."""
    scope = stateless_scope()
    return scope if isinstance(scope, FunctionScope) else None


def lift_initialization(variable: Any) -> None:
    """Give a variable that was created during a trace its concrete initial value, outside of the trace."""
    scope = stateless_scope()
    set_stateless_scope(None)
    try:
        with jax.ensure_compile_time_eval():
            variable._deferred_initialize()
    finally:
        set_stateless_scope(scope)
    settings = thread_settings()
    pending = settings.get("uninitialized_variables", [])
    settings["uninitialized_variables"] = [item for item in pending if item is not variable]
