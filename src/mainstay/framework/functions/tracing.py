"""Tracing: a Python function over variables becomes one pure program and the lists of what it reads and writes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend import core as jex

from mainstay.core import ModelError
from mainstay.framework.functions.scope import FunctionScope, read_p
from mainstay.framework.functions.structures import Structure, is_array
from mainstay.framework.jax_internals import outside_of_traces
from mainstay.framework.keras_internals import current_seed_generator, is_variable, unobserved


@dataclass(frozen=True)
class Trace:
    """A traced function.

    The inputs of `jaxpr` are the values of `donated`, of `readonly`, the `captures` and the traced arguments; its
    outputs are the new values of `written`, whose first ones are `donated` in the same order so that XLA can write
    each value into its own old buffer, and then the traced results.
    """

    jaxpr: Any
    donated: list[Any]
    readonly: list[Any]
    written: list[Any]
    captures: list[Any]
    results: Structure
    seed_state: Any = None


def trace(
    func: Callable[[Any], Any],
    arguments: Structure,
    operands: Sequence[Any],
    *,
    name: str,
    may_create: bool,
) -> Trace:
    """Trace a function once.

    Args:
        func: The function, of its bound arguments.
        arguments: These, with places for the traced ones.
        operands: Arrays, numbers or shapes with dtypes for these places.
        name: The name of the function, for messages and profiles.
        may_create: Whether it may create variables.
    """
    scope = FunctionScope(name, may_create=may_create)
    results: list[Structure] = []

    def traced(*values: Any) -> list[Any]:
        scope.begin()
        structure, dynamic = Structure.of(func(arguments.fill(values)), is_result)
        results.append(structure)
        arrays = [item.value if is_variable(item) else item for item in dynamic]
        return [*(_settled(scope, variable) for variable in scope.writes.values()), *arrays]

    traced.__name__ = traced.__qualname__ = name
    with _collector_paused() if may_create else nullcontext():
        # The scope ends after the trace does: variables that were created and never read get real values then.
        with outside_of_traces(), unobserved(), scope:
            program = jax.make_jaxpr(traced)(*operands)
        split = _split(program, scope, results[0])
        return _only_kept(split, scope) if scope.created else split


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep everything that the body makes in the youngest generation of Python's garbage collector.

    What the body dropped is then found by a look through that generation instead of through all objects of the process.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _only_kept(split: Trace, scope: FunctionScope) -> Trace:
    """Return the trace, unless the function creates its variables anew on every call and keeps none of them."""
    created = {id(variable): variable.path for variable in scope.created}
    lists = [[weakref.ref(item) for item in items] for items in (split.donated, split.readonly, split.written)]
    paths = [[created.get(id(item)) for item in items] for items in (split.donated, split.readonly, split.written)]
    # Whatever the trace itself holds is let go, to see who else holds the variables.
    for items in (split.donated, split.readonly, split.written, scope.created, scope.losses):
        items.clear()
    for mapping in (scope.reads, scope.writes, scope.state_mapping):
        mapping.clear()
    gc.collect(0)
    for references, names in zip(lists, paths, strict=True):
        for reference, path in zip(references, names, strict=True):
            if path is not None and reference() is None:
                raise ModelError(
                    f"{scope.name} creates the variable {path!r} on every call and does not keep it; a function only"
                    " supports variables that are created on its first call",
                    fix="make it outside of the function, or once: `if self.v is None: self.v = Variable(…)`",
                )
    donated, readonly, written = ([reference() for reference in references] for references in lists)
    return replace(split, donated=donated, readonly=readonly, written=written)


def is_result(value: Any) -> bool:
    """Return whether a result belongs to the program; anything else is returned as it is on every call."""
    return is_array(value) or is_variable(value)


def _settled(scope: FunctionScope, variable: Any) -> Any:
    """Return the new value of a variable, which must belong to the function and not to a loop or branch inside it."""
    value = scope.state_mapping[id(variable)]
    if isinstance(value, jax.core.Tracer) and value._trace is not scope.trace:
        raise ModelError(
            f"the variable {variable.path!r} was assigned inside a function that JAX transforms on its own, and its"
            " new value cannot leave that function",
            where=scope.name,
            fix="return the value from the inner function and assign it outside, or write the loop or branch in Python"
            " and let autograph turn it into XLA's",
        )
    return value


def _split(program: Any, scope: FunctionScope, results: Structure) -> Trace:
    """Turn the reads of variables and the captured constants of a traced program into its inputs."""
    jaxpr = program.jaxpr
    places = {
        equation.params["variable"]: equation.outvars[0] for equation in jaxpr.eqns if equation.primitive is read_p
    }
    is_read = {key: scope.reads[key][0] for key in places}
    donated = [variable for key, variable in scope.writes.items() if key in is_read]
    others = [variable for key, variable in scope.writes.items() if key not in is_read]
    readonly = [variable for key, variable in is_read.items() if key not in scope.writes]
    outputs = dict(zip(scope.writes, jaxpr.outvars, strict=False))
    written = [*donated, *others]
    arrays = jaxpr.outvars[len(scope.writes) :]
    flat = jex.Jaxpr(
        constvars=(),
        invars=[*(places[id(item)] for item in (*donated, *readonly)), *jaxpr.constvars, *jaxpr.invars],
        outvars=[*(outputs[id(item)] for item in written), *arrays],
        eqns=[equation for equation in jaxpr.eqns if equation.primitive is not read_p],
        effects=jaxpr.effects,
        debug_info=jaxpr.debug_info.with_unknown_names(),
    )
    captures = [jax.numpy.asarray(value) if isinstance(value, np.ndarray) else value for value in program.consts]
    seed_state = current_seed_generator().state if scope.uses_global_seed else None
    return Trace(jex.ClosedJaxpr(flat, ()), donated, readonly, written, captures, results, seed_state)
