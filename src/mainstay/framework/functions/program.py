"""A compiled program with the state that it reads and writes: runs it, and never loses or corrupts a variable."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat, starmap
from operator import attrgetter
from sys import getrefcount
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from jax.extend import core as jex

from mainstay.core import ModelError
from mainstay.framework.arrivals import owned
from mainstay.framework.functions.structures import shape_of
from mainstay.framework.functions.tracing import Trace
from mainstay.framework.jax_internals import CONCRETE_ARRAY, EAGER_TRACE, TRACE_CONTEXT, open_program, subprograms
from mainstay.framework.keras_internals import current_seed_generator, read_uncast

_value_of = attrgetter("_value")
_NAMES = repeat("_value")
_exhaust = deque[None](maxlen=0).extend

# Between looking whether somebody else holds the old value of a variable and giving the variable its new one, no other
# function may take the old value up. One lock for all: functions share variables, and a launch takes microseconds.
_LAUNCH = threading.RLock()


class _Holder:
    _value: object


def _references_when_unshared() -> int:
    """Return what `getrefcount` says of a value that only its variable and the list of values hold."""
    holder = _Holder()
    holder._value = object()
    values = [*map(_value_of, [holder])]
    return max(map(getrefcount, values))


_UNSHARED = _references_when_unshared()
_are_unshared = frozenset({_UNSHARED}).issuperset
_are_arrays = frozenset({CONCRETE_ARRAY}).issuperset
_CALLBACKS = frozenset({"io_callback", "pure_callback", "debug_callback", "debug_print"})


def _calls_python(jaxpr: Any) -> bool:
    """Return whether a program calls back to Python, which may raise after the launch."""
    return any(
        equation.primitive.name in _CALLBACKS
        or any(_calls_python(open_program(inner)[0]) for inner in subprograms(equation.params))
        for equation in jaxpr.eqns
    )


class Program:
    """One traced function, compiled when it is first run.

    Args:
        trace: The traced function.
        name: The name that profiles show.
    """

    def __init__(self, trace: Trace, name: str) -> None:
        self.trace = trace
        self._donated, self._readonly, self._targets = trace.donated, trace.readonly, trace.written
        self._captures = trace.captures
        self._seed_state = trace.seed_state
        run = jex.jaxpr_as_fun(trace.jaxpr)

        def program(*values: Any) -> Any:
            return run(*values)

        program.__name__ = program.__qualname__ = name
        # The new value of a distributed variable lies where the old one did, and the next step compiles nothing.
        placed = [None if item._layout is None else item._value.sharding for item in trace.written]
        places = [*placed, *(None for _ in trace.results.places)] if any(placed) else None
        donated = tuple(range(len(trace.donated)))
        self._undonated = jax.jit(program, out_shardings=places)
        self._compiled = jax.jit(program, out_shardings=places, donate_argnums=donated) if donated else self._undonated
        self._has_constants = bool(trace.readonly or trace.captures)
        self._pack = trace.results.packer()
        self._is_single = trace.results.is_one_leaf
        self._run = self._choose()
        self.run = self._run if self._seed_state is None else self._run_seeded

    def _choose(self) -> Callable[[Sequence[Any]], Any]:
        if not self._targets:
            return self._run_pure
        return self._run_carefully if _calls_python(self.trace.jaxpr.jaxpr) else self._run_stateful

    # `run` takes the traced arguments and is one of these four. They are on the way of every call: microseconds count.

    def _run_pure(self, operands: Sequence[Any]) -> Any:
        if type(TRACE_CONTEXT.trace) is not EAGER_TRACE:
            return self._run_inside(operands)
        if not _are_arrays(map(type, operands)):
            operands = [*map(owned, operands)]
        if self._has_constants:
            with _LAUNCH:  # whoever gives values away sees from now on that this call holds them
                operands = (*map(_value_of, self._readonly), *self._captures, *operands)
        outputs = self._compiled(*operands)
        return outputs[0] if self._is_single else self._pack(outputs)

    def _run_stateful(self, operands: Sequence[Any]) -> Any:
        if type(TRACE_CONTEXT.trace) is not EAGER_TRACE:
            return self._run_inside(operands)
        if not _are_arrays(map(type, operands)):
            operands = [*map(owned, operands)]
        with _LAUNCH:
            values = [*map(_value_of, self._donated)]
            if not _are_unshared(map(getrefcount, values)):
                self._copy_shared(values)
            if self._has_constants:
                values += map(_value_of, self._readonly)
                values += self._captures
            values += operands
            # One call of C from the launch to the last assignment: no interrupt and no thread can come between.
            outputs = chain.from_iterable(starmap(self._compiled, (values,)))
            _exhaust(map(setattr, self._targets, _NAMES, outputs))
            return next(outputs) if self._is_single else self._pack(list(outputs))

    def _copy_shared(self, donated: list[Any]) -> None:
        """Replace the values that somebody else holds too, so that theirs stay alive."""
        for index, count in enumerate(map(getrefcount, donated)):
            if count > _UNSHARED:
                donated[index] = jnp.copy(donated[index])

    def _run_carefully(self, operands: Sequence[Any]) -> Any:
        """Run a program that calls back to Python: nothing is given away, and nothing assigned before it is done."""
        if type(TRACE_CONTEXT.trace) is not EAGER_TRACE:
            return self._run_inside(operands)
        with _LAUNCH:
            outputs = self._undonated(*self._state(), *operands)
            for output in outputs:
                output.block_until_ready()
            _exhaust(map(setattr, self._targets, _NAMES, outputs))
            return self._pack(outputs[len(self._targets) :])

    def _run_seeded(self, operands: Sequence[Any]) -> Any:
        """Run a program that draws from the global seed generator; `keras.utils.set_random_seed` makes a new one."""
        state = current_seed_generator().state
        with _LAUNCH:
            if state is not self._seed_state:
                for variables in (self._donated, self._readonly, self._targets):
                    variables[:] = [state if item is self._seed_state else item for item in variables]
                self._seed_state = state
            return self._run(operands)

    def _state(self) -> Iterator[Any]:
        return chain(map(_value_of, self._donated), map(_value_of, self._readonly), self._captures)

    def _run_inside(self, operands: Sequence[Any]) -> Any:
        """Run under a tape or another transformation: differentiable, with nothing given away."""
        with _LAUNCH:
            values = [*map(read_uncast, (*self._donated, *self._readonly))]
        outputs = self._undonated(*values, *self._captures, *map(owned, operands))
        for variable, value in zip(self._targets, outputs, strict=False):
            if isinstance(value, jax.core.Tracer):
                raise ModelError(
                    f"a function that assigns the variable {variable.path!r} was called inside a transformation of JAX"
                    " (jit, vmap, grad, …), which cannot carry the new value out",
                    fix="call it outside of the transformation, or make the outer function a mainstay.function",
                )
        _exhaust(map(setattr, self._targets, _NAMES, outputs))
        return self._pack(outputs[len(self._targets) :])

    def lower(self, operands: Sequence[Any]) -> Any:
        """Return the program lowered to StableHLO, as `jax.jit(...).lower` does."""
        return self._compiled.lower(*self._state(), *operands)

    def as_text(self) -> str:
        """Return the program as StableHLO text, with symbols for lengths that were left open."""
        avals = [shape_of(aval) for aval in self.trace.jaxpr.in_avals]
        return str(jax.export.export(self._undonated)(*avals).mlir_module())

    @property
    def shown(self) -> str:
        """The arguments that the program takes, in short."""
        count = len(self._donated) + len(self._readonly) + len(self._captures)
        return ", ".join(aval.str_short() for aval in self.trace.jaxpr.in_avals[count:])
