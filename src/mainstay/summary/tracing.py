"""Summaries inside compiled functions: recorded on each run, by a callback that the compiled program makes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_compiled_summaries_exist = False
_eager_state: Any = None


def is_tracer(value: Any) -> bool:
    """Return whether a value stands for one that is known only when a compiled function runs."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def is_compiling() -> bool:
    """Return whether what runs now is being traced into a compiled function, whatever its values are."""
    global _eager_state
    if "jax" not in sys.modules:
        return False
    import jax.extend
    import jax.numpy as jnp

    state = jax.extend.core.get_opaque_trace_state()  # type: ignore[no-untyped-call]
    if state == _eager_state:
        return False
    compiling = isinstance(jnp.zeros(()), jax.core.Tracer)
    if not compiling:
        _eager_state = state
    return compiling


def call_on_each_run(function: Callable[..., None], *values: Any) -> None:
    """Make the function that is being traced call `function` with the values of each run, as host arrays.

    Calls of one run come in no fixed order. They work under `jit`, `grad`, `vmap` and `scan`.
    """
    global _compiled_summaries_exist
    import jax

    _compiled_summaries_exist = True
    jax.debug.callback(function, *values)


def wait_for_compiled_summaries() -> None:
    """Wait until the summaries of the compiled functions that run now have reached their writers."""
    if _compiled_summaries_exist:
        import jax

        jax.effects_barrier()  # type: ignore[no-untyped-call]
