"""Export: a JAX function becomes a program whose batch may have any length and whose weights are arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from mainstay.core import DTYPES, ModelError, TensorSpec
from mainstay.saved_model.failures import culprit
from mainstay.saved_model.modules import portable
from mainstay.saved_model.program import BATCH, PLATFORMS, Dimension, Program, ProgramTensor
from mainstay.saved_model.row_wise import batch_axes
from mainstay.saved_model.serving_function import PureFunction, device_dtype

_MOST_CONSTANTS = 1024
"""Larger arrays that a function closes over are stored with the weights, not in the program."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported function.

    Args:
        program: Its program.
        captured: Arrays that the function closed over and that became weights of the program, by name.
        rows: Whether the first axis of everything is the batch.
    """

    program: Program
    captured: Mapping[str, np.ndarray[Any, Any]]
    rows: bool


def export_program(
    function: PureFunction,
    inputs: Sequence[TensorSpec],
    *,
    weights: Mapping[str, np.ndarray[Any, Any]],
    platforms: Sequence[str] = PLATFORMS,
    rows: bool | None = True,
) -> Exported:
    """Return `function` as a program in which every axis that is None may have any length.

    Weights that the function does not use are left out. Inputs are not: their shapes may matter. The program is
    the same whether or not the process has 64-bit JAX enabled.

    Args:
        function: The function.
        inputs: Its inputs, in the order in which the program takes them.
        weights: Its weights.
        platforms: What the program shall run on.
        rows: Whether the first axis of every input and output is the batch; None finds out whether it provably is.

    Raises:
        ModelError: The function cannot be traced, has effects, gives outputs without a batch axis though `rows` is
            true, or needs a custom call or an operation that has no stable form.
    """
    names: list[str] = []

    def flat(*arguments: jax.Array) -> tuple[jax.Array, ...]:
        given = dict(zip(weights, arguments, strict=False))
        taken = dict(zip([spec.name for spec in inputs], arguments[len(given) :], strict=True))
        outputs = _checked_outputs(function(given, taken))
        names[:] = sorted(outputs)
        return tuple(outputs[name] for name in names)

    fixed = [array_spec(np.shape(value), value.dtype) for value in weights.values()]
    has_batch = bool(inputs) and all(spec.shape and spec.shape[0] is None for spec in inputs)
    with jax.enable_x64(False):
        found = _try_rows(flat, fixed, inputs, platforms) if rows is None and has_batch else None
        if found is None:
            found = _trace(flat, fixed, _symbolic_inputs(inputs, rows=bool(rows)), platforms)
    tensors = [(name, True) for name in weights] + [(spec.name, False) for spec in inputs]
    tensors = [(f"captured/{i}", True) for i in range(len(found.captured))] + [tensors[i] for i in found.used]
    arguments = [_tensor(*item, aval) for item, aval in zip(tensors, found.exported.in_avals, strict=True)]
    results = [_tensor(name, False, aval) for name, aval in zip(names, found.exported.out_avals, strict=True)]
    for result in results:
        _check_result(result, rows=bool(rows))
    program = Program(
        portable(found.exported.mlir_module_serialized),
        tuple(arguments),
        tuple(results),
        tuple(found.exported.platforms),
        found.exported.calling_convention_version,
        jaxpr=found.jaxpr,
    )
    captured = {f"captured/{index}": np.asarray(value) for index, value in enumerate(found.captured)}
    return Exported(program, captured, bool(rows) or found.rows)


def _check_result(result: ProgramTensor, *, rows: bool) -> None:
    if rows and (not result.shape or result.shape[0] != BATCH):
        raise ModelError(
            "an output does not have the batch as its first axis",
            where=result.name,
            expected="one row of the output per row of the inputs",
            received=f"shape {list(result.shape)}",
            fix="return it row by row, or pass rows=False for a function that does not work on rows",
        )
    if result.dtype not in DTYPES:
        raise ModelError(
            "an output has a dtype that a signature cannot name",
            where=result.name,
            expected=", ".join(DTYPES),
            received=result.dtype,
            fix="cast it in the function",
        )


def _checked_outputs(outputs: Any) -> dict[str, jax.Array]:
    if not isinstance(outputs, Mapping) or not outputs or not all(isinstance(name, str) and name for name in outputs):
        raise ModelError(
            "a serving function returns a mapping of outputs by name",
            expected='such as {"scores": array}',
            received=type(outputs).__name__,
        )
    return {name: jnp.asarray(value) for name, value in outputs.items()}


@dataclass(frozen=True, slots=True)
class _Traced:
    """An exported function of its arguments: first `captured`, then those of `used`."""

    exported: export.Exported
    jaxpr: Any
    captured: list[Any]
    used: list[int]
    rows: bool


def _try_rows(
    flat: Callable[..., Any], fixed: list[Any], inputs: Sequence[TensorSpec], platforms: Sequence[str]
) -> _Traced | None:
    """Return the export of `flat` over a batch, or None where its rows are not provably independent."""
    try:
        traced = _trace(flat, fixed, _symbolic_inputs(inputs, rows=True), platforms)
    except ModelError:
        return None
    takes = len(traced.jaxpr.in_avals) - len(inputs)
    axes = batch_axes(traced.jaxpr, [None] * takes + [0] * len(inputs))
    return replace(traced, rows=True) if axes is not None and all(axis == 0 for axis in axes) else None


def _trace(
    flat: Callable[..., Any],
    fixed: list[Any],
    forms: Sequence[Sequence[jax.ShapeDtypeStruct]],
    platforms: Sequence[str],
) -> _Traced:
    """Return the export of `flat` for the first of several forms of its inputs for which there is one."""
    failure: Exception | None = None
    for specs in forms:
        every = [*fixed, *specs]
        try:
            traced = jax.jit(flat).trace(*every).jaxpr
            _refuse_effects(traced.effects)
            used = [*_used(traced, len(fixed)), *range(len(fixed), len(every))]
            captured = [value for value in traced.consts if np.size(value) > _MOST_CONSTANTS]
            taken = [*(array_spec(np.shape(value), value.dtype) for value in captured), *(every[i] for i in used)]
            kept = jax.jit(_keep(traced, every, captured, used), keep_unused=True)
            exported = export.export(kept, platforms=tuple(platforms))(*taken)
            return _Traced(exported, kept.trace(*taken).jaxpr, captured, used, rows=False)
        except ModelError:
            raise
        except Exception as error:
            failure = failure or error
    raise ModelError(
        "the function cannot be exported",
        where=failure and culprit(failure),
        expected="a pure JAX function whose shapes follow from those of its inputs",
        received=f"{type(failure).__name__}: {failure}",
        fix="keep Python conditions, callbacks and shapes that depend on values out of the function",
    ) from failure


def _refuse_effects(effects: Any) -> None:
    if effects:
        raise ModelError(
            "the function has effects, which a saved model cannot have",
            received=", ".join(sorted(str(effect) for effect in effects)),
            fix="remove debug prints, callbacks and the like from the function",
        )


def _keep(traced: Any, every: list[Any], captured: list[Any], used: list[int]) -> Callable[..., Any]:
    """Return a traced function of what it captured and of only those arguments that it uses."""
    places = {id(value): index for index, value in enumerate(captured)}

    def program(*arguments: jax.Array) -> Any:
        given = dict(zip(used, arguments[len(captured) :], strict=True))
        blank = [given[i] if i in given else jnp.zeros(spec.shape, spec.dtype) for i, spec in enumerate(every)]
        constants = [arguments[places[id(value)]] if id(value) in places else value for value in traced.consts]
        return jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, constants))(*blank)

    return program


def _used(closed: Any, weights: int) -> list[int]:
    """Return the indices of the weights, the first arguments, that a traced function's results depend on."""
    live = {id(value) for value in closed.jaxpr.outvars}
    for equation in reversed(closed.jaxpr.eqns):
        if equation.effects or any(id(value) in live for value in equation.outvars):
            live.update(id(value) for value in equation.invars)
    return [index for index, value in enumerate(closed.jaxpr.invars[:weights]) if id(value) in live]


def _symbolic_inputs(inputs: Sequence[TensorSpec], *, rows: bool) -> list[list[jax.ShapeDtypeStruct]]:
    """Return the inputs with symbols for their free axes: each its own, and then one per axis position.

    The second form is for functions that need, say, a mask to be as long as its tokens. Where there are no rows, the
    first axes are their own too at first, and then one batch.
    """
    own = [[f"n{i}_{axis}" for axis in range(len(spec.shape))] for i, spec in enumerate(inputs)]
    batch = [[BATCH, *names[1:]][: len(names)] for names in own]
    shared = [[BATCH if axis == 0 else f"n{axis}" for axis in range(len(spec.shape))] for spec in inputs]
    first = sum(spec.shape[:1] == (None,) for spec in inputs)
    further = sum(axis is None for spec in inputs for axis in spec.shape[1:])
    wanted = [shared]
    if further > 1:
        wanted.insert(0, batch)
    if not rows and first > 1:
        wanted.insert(0, own)
    forms = []
    for symbols in wanted:
        scope = export.SymbolicScope()
        forms.append(
            [
                array_spec(
                    symbolic_shape([s if a is None else a for s, a in zip(names, spec.shape, strict=True)], scope),
                    device_dtype(spec.dtype),
                )
                for spec, names in zip(inputs, symbols, strict=True)
            ]
        )
    return forms


def symbolic_shape(shape: Sequence[Dimension], scope: export.SymbolicScope) -> tuple[Any, ...]:
    """Return a shape of lengths and expressions of symbols as JAX has it."""
    if all(isinstance(axis, int) for axis in shape):
        return tuple(shape)
    return tuple(export.symbolic_shape(", ".join(map(str, shape)) + ("," if len(shape) == 1 else ""), scope=scope))


def _tensor(name: str, weight: bool, aval: Any) -> ProgramTensor:
    shape = tuple(axis if isinstance(axis, int) else str(axis) for axis in aval.shape)
    return ProgramTensor(name, str(aval.dtype), shape, weight)


def array_spec(shape: Sequence[Any], dtype: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of an array that does not exist."""
    return jax.ShapeDtypeStruct(tuple(shape), dtype)  # type: ignore[no-untyped-call]
