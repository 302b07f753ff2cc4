"""Everything that Mainstay takes from inside JAX, in one file; nothing else of the package touches `jax._src`.

JAX promises no stability for what is used here. `SUPPORTED_JAX` is the range of versions that the tests were run on
at both ends; `tests/framework/test_jax_internals.py` fails with a readable message on a JAX that moved something.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jax._src import core

SUPPORTED_JAX = ("0.10.0", "0.10.2")
"""The lowest and the highest version of JAX that the whole test suite of this room was run on."""


def current_trace() -> Any:
    """Return the trace that the next primitive of this thread goes to."""
    return core.trace_ctx.trace


def runs_eagerly() -> bool:
    """Return whether the next primitive is executed at once: no tape, no `jit`, no other transformation is running."""
    return type(core.trace_ctx.trace) is core.EvalTrace


@contextmanager
def outside_of_traces() -> Iterator[None]:
    """Run the body as if no tape and no transformation were running."""
    with core.set_current_trace(core.eval_trace):
        yield
