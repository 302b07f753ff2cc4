"""`keras.ops.cond` whose branches may assign variables, in a function and eagerly, as `tf.cond` lets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from mainstay.framework.functions.scope import FunctionScope, current_scope
from mainstay.framework.keras_internals import replace_cond, stateless_scope

Branch = Callable[[], Any]


def cond(predicate: Any, true_fn: Branch, false_fn: Branch) -> Any:
    """Run one of two branches.

    Keras' loss scaling, for one, assigns the variables of its optimizer in a branch; on JAX alone that works in its
    own training loop and nowhere else.

    Args:
        predicate: A truth value, traced or not.
        true_fn: What runs if it is true.
        false_fn: What runs if it is not.
    """
    scope = current_scope()
    if scope is not None:
        return _staged(scope, predicate, true_fn, false_fn)
    if stateless_scope() is None and not isinstance(predicate, jax.core.Tracer):
        return true_fn() if bool(predicate) else false_fn()
    return jax.lax.cond(predicate, true_fn, false_fn)


def _staged(scope: FunctionScope, predicate: Any, true_fn: Branch, false_fn: Branch) -> Any:
    assigned: dict[int, Any] = {}
    for branch in (true_fn, false_fn):
        jax.eval_shape(lambda branch=branch: assigned.update(_run(scope, branch)[1]))
    before = {key: scope.get_current_value(variable) for key, variable in assigned.items()}

    def closed(branch: Branch) -> Branch:
        def run() -> Any:
            values: dict[int, Any] = {}
            result, _ = _run(scope, branch, values)
            return result, [values.get(key, value) for key, value in before.items()]

        return run

    result, values = jax.lax.cond(predicate, closed(true_fn), closed(false_fn))
    for variable, value in zip(assigned.values(), values, strict=True):
        scope.add_update((variable, value))
    return result


def _run(scope: FunctionScope, branch: Branch, values: dict[int, Any] | None = None) -> tuple[Any, dict[int, Any]]:
    """Run a branch and undo what it did to the scope; return its result and the variables that it assigned."""
    before = scope.snapshot()
    scope.writes = {}
    try:
        result = branch()
        assigned = dict(scope.writes)
        if values is not None:
            values.update((key, scope.state_mapping[key]) for key in assigned)
    finally:
        scope.restore(before)
    return result, assigned


replace_cond(cond)
