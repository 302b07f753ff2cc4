"""Everything that Mainstay takes from inside JAX, in one file; nothing else of the package touches `jax._src`.

JAX promises no stability for what is used here. `SUPPORTED_JAX` is the range of versions that the tests were run on
at both ends; `tests/framework/test_jax_internals.py` fails with a readable message on a JAX that moved something.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mainstay.core import SetupError

SUPPORTED_JAX = ("0.10.0", "0.10.2")
"""The lowest and the highest version of JAX that the whole test suite of this room was run on."""

_CUSTOM_VJP = ("self", "primitive", "fun", "fwd", "bwd", "tracers", "out_trees", "symbolic_zeros")
_USED: dict[str, tuple[str, ...] | None] = {
    "array.ArrayImpl": None,
    "config.eager_constant_folding": None,
    "config.trace_context": None,
    "core.ClosedJaxpr.consts": None,
    "core.ClosedJaxpr.jaxpr": None,
    "core.EvalTrace": None,
    "core.Jaxpr.effects": None,
    "core.Jaxpr.eqns": None,
    "core.Trace.is_valid": ("self",),
    "core.Trace.process_call": ("self", "call_primitive", "f", "tracers", "params"),
    "core.Trace.process_custom_jvp_call": ("self", "primitive", "fun", "jvp", "tracers", "symbolic_zeros"),
    "core.Trace.process_custom_vjp_call": _CUSTOM_VJP,
    "core.Trace.process_primitive": ("self", "primitive", "tracers", "params"),
    "core.Tracer": None,
    "core.eval_jaxpr": ("jaxpr", "consts", "args", "propagate_source_info"),
    "core.eval_trace": None,
    "core.is_concrete": ("x",),
    "core.set_current_trace.__init__": ("self", "trace", "check_leaks"),
    "core.trace_ctx.set_trace": ("trace",),
    "core.trace_ctx.trace": None,
}
"""What this file uses below `jax._src`, with the names of the parameters where it is called or overridden."""


def moved_internals(inside: Any) -> list[str]:
    """Return what of JAX' inside is not where this file expects it, one line each.

    Args:
        inside: The package `jax._src`.
    """
    found = []
    for path, wanted in _USED.items():
        place = inside
        for name in path.split("."):
            place = getattr(place, name, None)
        if place is None:
            found.append(f"jax._src.{path} is gone")
        elif wanted is not None:
            parameters = tuple(inspect.signature(place).parameters)
            if parameters != wanted:
                found.append(f"jax._src.{path} takes ({', '.join(parameters)}) and not ({', '.join(wanted)})")
    return found


def require_supported_layout(moved: list[str]) -> None:
    """Refuse a JAX whose inside is another one, and say which would do.

    Raises:
        SetupError: `moved` names something.
    """
    if moved:
        raise SetupError(
            "this version of JAX has a different inside from what GradientTape and function need",
            where=f"jax {jax.__version__}",
            expected=f"jax from {SUPPORTED_JAX[0]} to {SUPPORTED_JAX[1]}",
            received="; ".join(moved),
            fix=f'pip install "jax>={SUPPORTED_JAX[0]},<={SUPPORTED_JAX[1]}"',
        )


try:
    import jax._src as _inside
    from jax._src import config, core
    from jax._src.array import ArrayImpl
except ImportError as error:
    require_supported_layout([str(error)])
    raise
require_supported_layout(moved_internals(_inside))

_PACKAGES = os.path.dirname(os.path.dirname(jax.__file__))
_OURS = (
    *(os.path.join(_PACKAGES, name) + os.sep for name in ("jax", "jaxlib", "keras")),
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    contextlib.__file__,
    functools.__file__,
)


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


def running_in(trace: Any) -> Any:
    """Return a context manager whose body runs with `trace` as the current one."""
    return core.set_current_trace(trace)


Intercept = Callable[[Any, Sequence[Any], dict[str, Any]], Any]
"""Takes a primitive, its operands and its parameters, and returns the outputs of the primitive."""


class InterceptingTrace(core.Trace):
    """A trace that hands every primitive, with the operands as they are, to one function.

    JAX sends each primitive to the current trace. Nothing is boxed: the operands are the arrays, or the tracers of
    the surrounding trace `parent`, that the caller holds, and what `intercept` returns is what the caller gets.
    Calls that carry Python functions (`custom_jvp`, `custom_vjp`) come with them as the parameter ``subfuns``, as
    `Primitive.bind` takes them.
    """

    __slots__ = ("intercept", "parent")

    def __init__(self, intercept: Intercept, parent: Any) -> None:
        super().__init__()
        self.intercept = intercept
        self.parent = parent
        self.requires_low = parent.requires_low

    def stage_value(self, val: Any) -> Any:
        """Lift a value, as the parent does; an older JAX never asks for it."""
        return self.parent.stage_value(val)

    def cur_qdd(self, x: Any) -> Any:
        """Return the quasi-dynamic data of a value, as the parent does."""
        return self.parent.cur_qdd(x)

    def process_primitive(self, primitive: Any, operands: Sequence[Any], params: dict[str, Any], /) -> Any:
        """Take an ordinary primitive."""
        return self.intercept(primitive, operands, params)

    def process_call(self, primitive: Any, fun: Any, operands: Sequence[Any], params: dict[str, Any], /) -> Any:
        """Take a call of a Python function."""
        return self.intercept(primitive, operands, {**params, "subfuns": (fun,)})

    def process_custom_jvp_call(
        self, primitive: Any, fun: Any, jvp: Any, operands: Sequence[Any], /, *, symbolic_zeros: bool
    ) -> Any:
        """Take a call of a function with its own forward derivative."""
        return self.intercept(primitive, operands, {"subfuns": (fun, jvp), "symbolic_zeros": symbolic_zeros})

    def process_custom_vjp_call(
        self,
        primitive: Any,
        fun: Any,
        fwd: Any,
        bwd: Any,
        operands: Sequence[Any],
        /,
        *,
        out_trees: Any,
        symbolic_zeros: bool,
    ) -> Any:
        """Take a call of a function with its own gradient."""
        params = {"subfuns": (fun, fwd, bwd), "out_trees": out_trees, "symbolic_zeros": symbolic_zeros}
        return self.intercept(primitive, operands, params)


def start_intercepting(intercept: Intercept) -> InterceptingTrace:
    """Send the primitives of this thread to `intercept` until `stop_intercepting`; return the new current trace."""
    trace = InterceptingTrace(intercept, core.trace_ctx.trace)
    core.trace_ctx.set_trace(trace)
    return trace


def stop_intercepting(trace: InterceptingTrace) -> bool:
    """Make the parent of `trace` the current trace again; return False, and do nothing, if `trace` is not current."""
    if core.trace_ctx.trace is not trace:
        return False
    core.trace_ctx.set_trace(trace.parent)
    return True


def subprograms(params: Mapping[str, Any]) -> list[Any]:
    """Return the programs (jaxprs, closed or open) among the parameters of a primitive, those in tuples too."""
    kinds = (core.ClosedJaxpr, core.Jaxpr)
    found = []
    for value in params.values():
        if isinstance(value, kinds):
            found.append(value)
        elif type(value) is tuple:
            found += [item for item in value if isinstance(item, kinds)]
    return found


def open_program(program: Any) -> tuple[Any, Sequence[Any]]:
    """Return a program's open form (with ``.eqns`` and ``.effects``) and the constants that it closes over."""
    return (program.jaxpr, program.consts) if isinstance(program, core.ClosedJaxpr) else (program, ())


def run_program(program: Any, operands: Sequence[Any]) -> list[Any]:
    """Run a closed program equation by equation in the current trace."""
    outputs: list[Any] = core.eval_jaxpr(program.jaxpr, program.consts, *operands)
    return outputs


jax_settings: Callable[[], Any] = config.trace_context
"""Returns the settings of JAX that a traced program depends on, as one hashable value: x64, precision, mesh, …"""

TRACE_CONTEXT, EAGER_TRACE = core.trace_ctx, core.EvalTrace
"""``type(TRACE_CONTEXT.trace) is EAGER_TRACE`` is `runs_eagerly()` without the call."""


@functools.lru_cache(256)
def _is_inexact_dtype(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def is_inexact(value: Any) -> bool:
    """Return whether a value has a floating-point or complex dtype, so that a gradient can exist."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and _is_inexact_dtype(dtype)


def user_frame() -> str | None:
    """Return the file and line, ``path:line``, of the innermost frame that is the user's: not JAX', Keras' or ours."""
    frame = inspect.currentframe()
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_OURS):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return None


CONCRETE_ARRAY = ArrayImpl
"""The class of an array that holds numbers, and is no tracer."""


def is_abstract(value: object) -> bool:
    """Return whether a value is a tracer whose number is not known, as under `jit`; autograph stages its branches."""
    return isinstance(value, core.Tracer) and not core.is_concrete(value)


class KnownRule:
    """The parameters of a call of a well-known function with its own derivative (`jax.nn.relu`), as a cache's key.

    Every call brings new function objects that do the same; two rules are equal if they belong to the same function
    and kinds of arguments. Iterating gives the parameters as pairs.
    """

    __slots__ = ("_key", "_params")

    def __init__(self, key: Any, params: dict[str, Any]) -> None:
        self._key = key
        self._params = params

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownRule) and self._key == other._key

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._params.items())


def known_rule(params: dict[str, Any], operands: Sequence[Any]) -> KnownRule | None:
    """Return the key of a call of a `custom_jvp` function of JAX or Mainstay, or None for another call.

    A user's function is not known: it may do something else next time, and its arrays would be kept alive.

    Args:
        params: What `InterceptingTrace` hands over.
        operands: The operands of the call.
    """
    if len(params["subfuns"]) != 2 or any(isinstance(operand, core.Tracer) for operand in operands):
        return None
    fun = params["subfuns"][0]
    if "<locals>" in getattr(fun.f, "__qualname__", "<locals>"):
        return None
    if not getattr(fun.f, "__module__", "").startswith(("jax.", "mainstay.")):
        return None
    if not all(isinstance(operand, jax.Array) for operand in operands):
        return None
    kinds = tuple((operand.shape, operand.dtype, operand.weak_type) for operand in operands)
    key = (fun.f, tuple(_plain(arguments) for _, arguments in fun.transforms), params["symbolic_zeros"], kinds)
    try:
        hash(key)
    except TypeError:  # an array among the arguments that are not differentiated
        return None
    return KnownRule(key, params)


def _plain(arguments: Any) -> Any:
    """Return static arguments with their types, and without JAX' wrapping, which makes them unhashable."""
    if type(arguments) is tuple:
        return tuple(_plain(argument) for argument in arguments)
    value = arguments.val if type(arguments).__name__ == "Unhashable" else arguments
    return _plain(value) if type(value) is tuple else (type(value), value)


def _numpy(self: jax.Array) -> np.ndarray[Any, Any]:
    """Return the numbers as a NumPy array of its own, as TensorFlow's tensors and Keras' variables do."""
    return np.array(self)


def _numpy_of_traced(self: Any) -> np.ndarray[Any, Any]:
    raise jax.errors.TracerArrayConversionError(self)


ArrayImpl.numpy = _numpy  # type: ignore[attr-defined]
core.Tracer.numpy = _numpy_of_traced  # type: ignore[attr-defined]


def set_for_all_threads(context: Any, value: object) -> None:
    """Give a context of `jax.make_user_context` a value in every thread that has none of its own."""
    context._obj.set_global(value)


def folds_constants() -> bool:
    """Return whether operations on known values are executed in a trace too, by `jax.ensure_compile_time_eval`."""
    return bool(config.eager_constant_folding.value)


def computes_at_once() -> bool:
    """Return whether the next primitive is executed at once: tapes may be running, but nothing is being traced."""
    trace = core.trace_ctx.trace
    while isinstance(trace, InterceptingTrace):
        trace = trace.parent
    return type(trace) is core.EvalTrace
