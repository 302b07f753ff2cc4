"""The scope of a trace: finds the variables that traced Python reads, writes and creates."""

from __future__ import annotations

from typing import Any

import jax
import keras
from jax.extend import core as jex

from mainstay.core import ModelError
from mainstay.framework.jax_internals import current_trace, running_in
from mainstay.framework.keras_internals import set_stateless_scope, stateless_scope, thread_settings

# Stands for the value of a variable in a traced program, where it becomes an input. It takes no operand: an array that
# the user captured may be the very buffer of a variable, and must stay what it is when the variable moves on.
read_p: Any = jex.Primitive("read_variable")
read_p.def_abstract_eval(lambda *, variable, aval: aval)


class FunctionScope(keras.StatelessScope):
    """A stateless scope that lifts variables when they are first read, and remembers reads and writes.

    `state_mapping` (id of a variable → its current traced value), `reads` (id → (variable, concrete value at the first
    read)) and `writes` (id → variable) are what a trace needs; `snapshot` and `restore` let control flow trace a
    branch without keeping its effects.

    Args:
        name: The name of the traced function, for messages.
        may_create: Whether variables may be created; they may on the first trace of a function only.
    """

    def __init__(self, name: str = "function", *, may_create: bool = True) -> None:
        super().__init__(collect_losses=True)
        self.name = name
        self.may_create = may_create
        self.trace: Any = None
        self.reads: dict[int, tuple[Any, Any]] = {}
        self.writes: dict[int, Any] = {}
        self.created: list[Any] = []
        self.uses_global_seed = False
        self._lifted: dict[int, Any] = {}

    def begin(self) -> None:
        """Take the running trace as the one that variables are lifted to."""
        self.trace = current_trace()

    def get_current_value(self, variable: Any) -> Any:
        """Return the traced value of a variable, lifting it on its first read."""
        key = id(variable)
        value = self.state_mapping.get(key)
        if value is None:
            value = self._lifted.get(key)
            if value is None:
                value = self._lift(variable)
            self.state_mapping[key] = value
        return value

    def _lift(self, variable: Any) -> Any:
        if variable._value is None:
            lift_initialization(variable)
        if variable._value.weak_type:
            # Keras makes such a value of a Python number. The first assignment would change it, and compile anew.
            with jax.ensure_compile_time_eval():
                variable._value = jax.numpy.asarray(variable._value, variable._value.dtype)
        # At the level of the function, also when a loop or a branch reads first: its tracer would not outlive it.
        with running_in(self.trace):
            value = read_p.bind(variable=id(variable), aval=jax.typeof(variable._value))
        self._lifted[id(variable)] = value
        self.reads[id(variable)] = (variable, variable._value)
        return value

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take a new value of a variable."""
        variable, value = update
        if variable._value is None:
            lift_initialization(variable)
        self.state_mapping[id(variable)] = value
        self.writes[id(variable)] = variable

    def add_created(self, variable: Any) -> None:
        """Take note of a new variable, or refuse it."""
        if not self.may_create:
            raise ModelError(
                f"{self.name} creates the variable {variable.path!r} on a later call; a function only supports"
                " variables that are created on its first call",
                expected="variables that are created once, before the function or on its first call, and kept",
                received=f"a new variable of shape {tuple(variable.shape)} and dtype {variable._dtype}",
                fix="create it outside of the function, or once: `if self.v is None: self.v = Variable(...)`",
            )
        self.created.append(variable)

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
